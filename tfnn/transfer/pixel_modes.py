"""Pure functions that turn pixels into the inputs that the networks of `keras.applications` were trained on.

Keras's own `preprocess_input` overwrites a numpy input and refuses integer tensors; these functions do neither.
Pixels are RGB, channels last, 0 to 255. The names of the modes are Keras's (`applications/imagenet_utils.py`).
"""

import keras
import numpy as np

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's RGB, 0 to 1
CAFFE_MEAN = (103.939, 116.779, 123.68)  # ImageNet's BGR, 0 to 255


def caffe(x):
    """BGR minus its mean."""
    return x[..., ::-1] - constant(CAFFE_MEAN, x)


def inside(x):
    """The network's own first layers do it."""
    return x


def minus_one_to_one(x):
    """x / 127.5 − 1."""
    return x / 127.5 - 1.0


def torch(x):
    """(x / 255 − mean) / deviation."""
    return (x / 255.0 - constant(MEAN, x)) / constant(DEVIATION, x)


MODES = {"caffe": caffe, "inside": inside, "tf": minus_one_to_one, "torch": torch}


def preprocess(x, mode):
    """Applies a mode of `MODES` to an array or tensor; integers become float32, floats keep their type."""
    x = x if hasattr(x, "dtype") else np.asarray(x)
    if not keras.backend.is_float_dtype(x.dtype):
        x = x.astype("float32") if isinstance(x, np.ndarray) else keras.ops.cast(x, "float32")
    return MODES[mode](x)


def constant(values, x):
    return np.array(values, keras.backend.standardize_dtype(x.dtype))
