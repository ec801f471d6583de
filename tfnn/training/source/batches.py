"""Batches as nests of tensors: (x, y, sample_weight), or packed in the form in which Keras hands them to a training step."""

import keras
import tensorflow as tf


def batch_of(data):
    """(x, y, sample_weight) in Keras's packed form."""
    return keras.utils.pack_x_y_sample_weight(*data)


def spec_of(data):
    """Tensor specs of a batch of arrays, of any number of examples."""
    return keras.tree.map_structure(lambda a: a if a is None else spec_of_rows(a), data)


def spec_of_rows(array):
    return tf.TensorSpec([None, *array.shape[1:]], array.dtype)


def take(data, examples):
    """The rows `examples` of a nest of arrays."""
    return tf.nest.map_structure(lambda a: a if a is None else tf.gather(a, examples), data)


def without_optionals(batch):
    """Keras makes an empty `tf.experimental.Optional` of a None that a generator yields."""
    empty = tf.experimental.Optional, tf.OptionalSpec
    return keras.tree.map_structure(lambda a: None if isinstance(a, empty) else a, batch)


def rows(data):
    """The number of examples of a batch, an int32 tensor."""
    first = next(a for a in tf.nest.flatten(data) if a is not None)
    return first.nrows(tf.int32) if isinstance(first, tf.RaggedTensor) else tf.shape(first)[0]


def examples(data):
    """The same as float32."""
    return tf.cast(rows(data), tf.float32)
