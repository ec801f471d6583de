"""What `fit`, `evaluate` and `predict` read: `Arrays` on the device, a `Stream` of batches, or images in files."""

import math

import keras

from tfnn.checks import int32
from tfnn.data.dataset import Part
from tfnn.data.files import ImageFiles
from tfnn.data.growable import Growable
from tfnn.data.stream import ImageStream
from tfnn.training.source import tensors
from tfnn.training.source.arrays import Arrays
from tfnn.training.source.file_stream import FileStream
from tfnn.training.source.grain_stream import GrainStream
from tfnn.training.source.preprocessing import PreprocessedRows, arrays_of, preprocessing_of
from tfnn.training.source.stream import Stream, of_rows
from tfnn.training.source.torch_stream import TorchStream


def source_of(
    x,
    y=None,
    sample_weight=None,
    *,
    batch_size=None,
    steps=None,
    class_weight=None,
    shuffle=False,
    seed=0,
    model=None,
    methods=("fit",),
):
    """The source of the arguments of `fit`.

    A model with `methods` of its own, of "fit", "evaluate" and "predict", that prepare data is given what they would give it.

    Raises:
        ValueError: for arguments that do not go together, and data that cannot be used.
    """
    if isinstance(x, Growable):
        raise ValueError("a growable gives examples in a shuffled order, for training: give the arrays that it was made of")
    if isinstance(x, ImageStream):
        check_alone(x, y=y, sample_weight=sample_weight, batch_size=batch_size)
        (x, y, sample_weight), batch_size, *_ = x.arguments()
    x, y = opened(x, y)
    preprocess = preprocessing_of(model, *methods) if model is not None else None
    if tensors.is_stream(x):
        kind = type(x).__name__
        if class_weight == "balanced":
            raise ValueError(
                f"class_weight='balanced' counts labels, which a {kind} tells only as it is read: give the dict that"
                " tfnn.data.balanced_class_weight(labels) makes"
            )
        for name, value in ("y", y), ("sample_weight", sample_weight):
            if value is not None:
                raise ValueError(f"{name} was given beside a {kind}, which must yield it: (x, y) or (x, y, sample_weight)")
        if package := tensors.package_of(x):
            kinds = {"grain": GrainStream, "torch": TorchStream}
            stream = kinds[package](x, class_weight, model, preprocess)
        else:
            stream = Stream(x, class_weight, shuffle, seed, model, preprocess=preprocess)
        if stream.endless and not steps:
            raise ValueError(f"the {kind} has no end: give the steps of an epoch (steps_per_epoch, validation_steps or steps)")
        return stream
    if preprocess:
        x, y, sample_weight = map(arrays_of, (x, y, sample_weight))
    data = tensors.as_tensors(x, y, sample_weight)
    if class_weight is not None:
        data = tensors.with_class_weights(data, class_weight)
    rows = tensors.count(data)
    if batch_size is None:
        batch_size = math.ceil(rows / steps) if steps else 32
    batch_size = int32("batch_size", batch_size, low=1)
    return source_of_tensors(data, batch_size, shuffle, seed, preprocess)


def source_of_tensors(data, batch_size, shuffle, seed, preprocess):
    """The source of (x, y, sample_weight) as tensors or `ImageFiles`; `preprocess` makes a batch of a batch, or is None."""
    holds = lambda kinds: any(isinstance(a, kinds) for a in keras.tree.flatten(data))
    if holds(tensors.OF_ROWS) and not holds(ImageFiles):
        dataset = of_rows(keras.utils.pack_x_y_sample_weight(*data), batch_size, shuffle, seed)
        return Stream(dataset, micro_batch=batch_size, preprocess=preprocess)
    if preprocess:
        return PreprocessedRows(data, preprocess, batch_size, shuffle, seed)
    return (FileStream if holds(ImageFiles) else Arrays)(data, batch_size, shuffle, seed)


def opened(x, y=None):
    """(x, y) of a `Part`; others as they are."""
    return x.labelled(y) if isinstance(x, Part) else (x, y)


def check_alone(x, **others):
    """Refuses what was given beside a growable or a stream, which holds it."""
    if any(value is not None for value in others.values()):
        kind = "growable" if isinstance(x, Growable) else "stream"
        raise ValueError(f"y, sample_weight and batch_size are arguments of {kind}, not of what reads it")


def split(x, y, sample_weight, fraction, model):
    """(training part, validation part) of arrays: the last `fraction` of the examples validates, as in Keras."""
    x, y = opened(x, y)
    if preprocessing_of(model, "fit"):
        x, y, sample_weight = map(arrays_of, (x, y, sample_weight))
    if tensors.is_stream(x):
        raise ValueError(f"validation_split needs arrays, got {type(x).__name__}: give validation_data")
    return tensors.split_off(tensors.as_tensors(x, y, sample_weight), fraction)
