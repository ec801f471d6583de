"""The inputs of any data source, batch by batch, for code that goes over the data once."""

import math
import operator
import os
import pathlib

import keras
import tensorflow as tf

from tfnn.data.dataset import Dataset
from tfnn.data.folder import image_files
from tfnn.data.images import in_parallel, of_files, report_bad, shape_and_digest
from tfnn.data.pixels import SUFFIXES

VALUES = 2**22  # 32 MB in float64


def batches(data, batch_size=None):
    """Yields batches of the inputs x of `data`, without labels and weights.

    Args:
        data: one of
            an array: anything that has a shape and can be sliced. Memory maps and `ImageFiles` are read piece by piece;
            a dict or list of arrays, for a model with several inputs;
            (x, y), (x, y, sample_weight) or a `Part`;
            a `Dataset`: its training part is used;
            a `tf.data.Dataset`, a `PyDataset` or another iterable of batches: the batches keep their size;
            the path of a folder of images at any depth: they are brought to one form as in `tfnn.data.folder`.
        batch_size: how many examples to take at a time from arrays or a folder; None takes about `VALUES` values.

    Raises:
        FileNotFoundError: if a path is not a folder.
        ValueError: if the source is endless or not batched, or if a folder holds no images or one that cannot be decoded.
    """
    if isinstance(data, Dataset):
        data = data.train
    if isinstance(data, (str, os.PathLike)):
        yield from images(pathlib.Path(data), batch_size)
    elif isinstance(data, tf.data.Dataset):
        if data.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError("the tf.data.Dataset repeats without end; a pass over it needs one that ends, such as .take(n)")
        yield from map(x_of, data)
    elif isinstance(data, keras.utils.PyDataset):
        if data.num_batches is None:
            raise ValueError(f"{type(data).__name__} has no number of batches; a pass over it needs one that ends")
        yield from (x_of(data[index]) for index in range(data.num_batches))
    elif hasattr(data, "__next__"):
        yield from map(x_of, data)
    else:
        x = x_of(data)
        shape = keras.tree.flatten(x)[0].shape
        if not shape:
            raise ValueError(f"a batch has its examples along the first axis, got the single value {x}: call .batch(n) first")
        size = batch_size or rows_of(shape[1:])
        for start in range(0, shape[0], size):
            rows = slice(start, start + size)
            yield keras.tree.map_structure(operator.itemgetter(rows), x)


def x_of(batch):
    return batch[0] if isinstance(batch, tuple) else batch


def rows_of(shape):
    return max(1, VALUES // max(1, math.prod(shape)))


def images(folder, batch_size):
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    files = image_files(folder)
    if not files:
        raise ValueError(f"{folder}: no images ({', '.join(SUFFIXES)})")
    shapes, digests = zip(*in_parallel(shape_and_digest, files))
    report_bad([file for file, shape in zip(files, shapes) if shape is None], len(files), skip_bad_images=False)
    yield from batches(of_files(files, digests, shapes, None), batch_size)
