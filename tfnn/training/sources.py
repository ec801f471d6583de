"""What `fit`, `evaluate` and `predict` read: `Arrays` on the device, or a `Stream` of batches."""

import math

import keras

from tfnn.data.growable import Growable
from tfnn.training import inputs
from tfnn.training.arrays import Arrays
from tfnn.training.streams import Stream, of_rows


def source_of(
    x, y=None, sample_weight=None, *, batch_size=None, steps=None, class_weight=None, shuffle=False, seed=0, model=None
):
    """The source of the arguments of `fit`.

    Raises:
        ValueError: for arguments that do not go together, and data that cannot be used.
    """
    if isinstance(x, Growable):
        raise ValueError("a growable gives examples in a shuffled order, for training: give the arrays that it was made of")
    if inputs.is_stream(x):
        kind = type(x).__name__
        for name, value in ("y", y), ("sample_weight", sample_weight):
            if value is not None:
                raise ValueError(f"{name} was given beside a {kind}, which must yield it: (x, y) or (x, y, sample_weight)")
        stream = Stream(x, class_weight, shuffle, seed, model)
        if stream.endless and not steps:
            raise ValueError(f"the {kind} has no end: give the steps of an epoch (steps_per_epoch, validation_steps or steps)")
        return stream
    data = inputs.tensors(x, y, sample_weight)
    if class_weight is not None:
        data = inputs.with_class_weights(data, class_weight)
    rows = inputs.count(data)
    if batch_size is None:
        batch_size = math.ceil(rows / steps) if steps else 32
    batch_size = inputs.integer("batch_size", batch_size, low=1)
    if any(isinstance(a, inputs.OF_ROWS) for a in keras.tree.flatten(data)):
        return Stream(of_rows(keras.utils.pack_x_y_sample_weight(*data), batch_size, shuffle, seed), micro_batch=batch_size)
    return Arrays(data, batch_size, shuffle, seed)


def split(x, y, sample_weight, fraction):
    """(training part, validation part) of arrays: the last `fraction` of the examples validates, as in Keras."""
    if inputs.is_stream(x):
        raise ValueError(f"validation_split needs arrays, got {type(x).__name__}: give validation_data")
    return inputs.split_off(inputs.tensors(x, y, sample_weight), fraction)
