"""The preprocessing of pixels for a backbone, as a layer."""

from typing import Any

import keras

from tfnn.transfer.pixel_modes import MODES, preprocess


@keras.saving.register_keras_serializable("tfnn")
class Preprocessing(keras.layers.Layer):
    """Turns RGB pixels, 0 to 255, into the inputs that a network of `keras.applications` was trained on.

    It computes in float32, whatever the dtype policy. Input and output have the shape (..., height, width, 3).

    Args:
        mode: "caffe": BGR minus its mean; "tf": x / 127.5 − 1; "torch": (x / 255 − mean) / deviation of ImageNet; or "inside":
            x, for networks whose own first layers preprocess it (Keras's names, `applications/imagenet_utils.py`).

    Raises:
        ValueError: for any other mode.

    Example:
        >>> x = tfnn.transfer.Preprocessing("tf")(images)
    """

    def __init__(self, mode: str, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        if mode not in MODES:
            raise ValueError(f"mode={mode!r} must be one of {', '.join(map(repr, MODES))}")
        self.mode = mode

    def call(self, x):
        return preprocess(x, self.mode)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "mode": self.mode}
