"""One function of a SavedModel, as the v2 protocol sees it."""

import contextlib

import numpy as np
import tensorflow as tf

from tfnn.data.pixels import FORMATS
from tfnn.serving.errors import essence
from tfnn.serving.server.pixels import pixels
from tfnn.serving.server.refused import Refused
from tfnn.serving.server.tensors import NAMES

ENCODED = "image_bytes"  # the name of inputs that hold encoded images


class Signature:
    """A function from {name: array} to {name: array}.

    Attributes:
        inputs, outputs: {name: (datatype, shape)}, -1 for unknown dimensions.
        joinable: whether rows of several requests can share a batch.
    """

    def __init__(self, name, function):
        self.name, self.function = name, function
        self.specs = function.structured_input_signature[1]
        self.inputs = {name: described(spec) for name, spec in sorted(self.specs.items())}
        self.outputs = {name: described(spec) for name, spec in sorted(function.structured_outputs.items())}
        self.joinable = all(shape[:1] == [-1] for _, shape in [*self.inputs.values(), *self.outputs.values()])

    def __call__(self, inputs):
        tensors = {name: tf.constant(array, self.specs[name].dtype) for name, array in inputs.items()}
        try:
            answers = self.function(**tensors)
            return {name: answers[name].numpy() for name in self.outputs}
        except (tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError) as error:
            raise Refused(f"{self.name}: {essence(error)}") from None
        except tf.errors.ResourceExhaustedError:
            raise Refused(f"{self.name}: not enough memory for this request", 503) from None

    def __str__(self):
        return f"{self.name} of " + ", ".join(f"{name} {datatype}" for name, (datatype, _) in self.inputs.items())

    def rows(self, inputs, most):
        """Checks the shapes of a request, and returns its number of examples."""
        for name, array in inputs.items():
            _, wanted = self.inputs[name]
            if not self.specs[name].shape.is_compatible_with(array.shape):
                raise Refused(f"{name} has shape {list(array.shape)}, wanted {wanted}")
        counts = {array.shape[0] for array in inputs.values()}
        if self.joinable and len(counts) > 1:
            raise Refused(f"inputs have different numbers of examples: {', '.join(map(str, sorted(counts)))}")
        if max(counts) > most:
            raise Refused(f"{max(counts)} examples in one request; this server takes at most {most}", 413)
        return max(counts)

    def pixels(self, inputs, most):
        """The number of pixels in a request's images, plain or encoded. Bytes without an image header are emptied.

        TensorFlow's decoder knows more formats than `pixels` does, and must not get what `pixels` cannot count.
        """
        count = 0
        for name, array in inputs.items():
            if array.dtype == np.uint8 and array.ndim == 4:
                count += array[..., 0].size
            if name == ENCODED and array.dtype == object:
                counts = [pixels(encoded) for encoded in array]
                unreadable = [place for place, each in enumerate(counts) if not each]
                if unreadable and "ok" not in self.outputs:
                    raise Refused(f"{name}: no readable {FORMATS} image at place {unreadable[0]}")
                array[unreadable] = b""
                count += sum(filter(None, counts))
        if count > most:
            raise Refused(f"{count} pixels in one request; this server takes at most {most}", 413)
        return count

    def kind(self, inputs):
        """A key: requests with the same key can share a batch. None if they cannot share any."""
        return tuple(array.shape[1:] for array in map(inputs.get, self.specs)) if self.joinable else None

    def warm_up(self):
        """Answers one blank example, so that no request has to wait for the set-up of the first call."""
        with contextlib.suppress(Refused):  # sizes drawn for unknown dimensions may not fit the model
            self({name: blank(name, spec) for name, spec in self.specs.items()})


def described(spec):
    """(datatype, shape) of a TensorSpec."""
    dtype = np.dtype(spec.dtype.as_numpy_dtype)
    if dtype not in NAMES or spec.shape.rank is None:
        raise ValueError(f"{spec.name} is {spec.dtype.name} of shape {spec.shape}, which the v2 protocol has no name for")
    return NAMES[dtype], [-1 if size is None else size for size in spec.shape]


def blank(name, spec):
    shape = [size or (1 if place == 0 else 32 if place < 3 else 3) for place, size in enumerate(spec.shape)]
    if spec.dtype == tf.string:
        return np.full(shape, tf.io.encode_png(np.zeros([32, 32, 3], np.uint8)).numpy() if name == ENCODED else b"", object)
    return np.zeros(shape, spec.dtype.as_numpy_dtype)
