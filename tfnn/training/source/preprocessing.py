"""Models that prepare their data by themselves: what their own `fit` does before it trains is mapped over the batches.

Keras's `fit` reads the data as they are. A model whose class has a `fit` of its own does more; a trainer in the place of
that has to know what. The contract is a method `preprocess_samples(x, y=None, sample_weight=None)`, as KerasHub's tasks have
it: it takes a batch and gives one in Keras's packed form.
"""

import functools
import inspect

import keras
import numpy as np
import tensorflow as tf

from tfnn.data.files import threads
from tfnn.training.source.batches import without_optionals
from tfnn.training.source.file_stream import READ_AHEAD, FileStream


class PreprocessedRows(FileStream):
    """Examples in an order and from a place as a `FileStream` has them, in batches that a model's own function makes.

    Args:
        data: (x, y, sample_weight) as they were given.
        preprocess: a function of a batch, as `preprocessing_of` gives it.
        batch_size, shuffle, seed: as of `FileStream`.
    """

    def __init__(self, data, preprocess, batch_size, shuffle=False, seed=0):
        super().__init__(data, batch_size, shuffle, seed)
        self.preprocess = tf.function(preprocess)  # traced once: each pass would else do it anew

    @property
    def batch_spec(self):
        return without_optionals(self.batches(tf.range(self.rows)).element_spec)

    @property
    def spec(self):
        return keras.utils.unpack_x_y_sample_weight(self.batch_spec)

    def batches(self, rows):
        return mapped(super().batches(rows), self.preprocess).prefetch(READ_AHEAD)


def mapped(dataset, preprocess):
    """A `tf.data.Dataset` of batches that `preprocess` makes of those of another."""
    return dataset.map(lambda *batch: preprocess(*batch), threads(), deterministic=True)


def preprocessing_of(model, *methods):
    """What a model's own `methods`, of "fit", "evaluate" and "predict", do to a batch; None where these are Keras's.

    Raises:
        ValueError: for a model with such a method of its own that does not tell what it does.
    """
    own = [method for method in methods if is_own(model, method)]
    if not own:
        return None
    method = own[0]
    if not hasattr(model, "preprocess_samples"):
        raise ValueError(
            f"model {model.name!r} has a {method} of its own, {type(model).__name__}.{method}, which tfnn would pass over: give"
            " the class a method preprocess_samples(self, x, y=None, sample_weight=None) that does to a batch what this does"
            f" and gives keras.utils.pack_x_y_sample_weight(x, y, sample_weight); tfnn.{method} maps it over the data"
        )
    if getattr(model, "preprocessor", model) is None:  # KerasHub's way to switch it off
        return None
    return functools.partial(preprocessed, model.preprocess_samples)


def preprocessed(preprocess_samples, *batch):
    """The batch that the model makes of the components of one, as `tf.data` hands them to a function."""
    return preprocess_samples(*without_optionals(keras.utils.unpack_x_y_sample_weight(batch)))


def is_own(model, method):
    """Whether a method is not Keras's, nor the one that calls tfnn."""
    function = getattr(type(model), method)
    return function is not getattr(keras.Model, method) and not is_running(function)


def is_running(function):
    """Whether a function is being called, as a `fit` that trains by `tfnn.fit` is."""
    code, frame = getattr(function, "__code__", None), inspect.currentframe()
    while frame and frame.f_code is not code:
        frame = frame.f_back
    return frame is not None


def arrays_of(nest):
    """A nest in which lists stand for arrays, as of texts: dicts and tuples are nests, and nothing else is."""
    if isinstance(nest, dict):
        return {name: arrays_of(part) for name, part in nest.items()}
    if isinstance(nest, tuple):
        return tuple(map(arrays_of, nest))
    return np.asarray(nest) if isinstance(nest, list) else nest
