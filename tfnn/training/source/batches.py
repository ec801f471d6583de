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
    """A batch, or its specs, with None for what holds none.

    Keras makes an empty `tf.experimental.Optional` of a None that a generator yields; a `tf.data.Dataset` has a spec for it.
    """
    none = tf.experimental.Optional, tf.OptionalSpec, type(tf.type_spec_from_value(None))
    return keras.tree.map_structure(lambda a: None if isinstance(a, none) else a, batch)


def tensors_in(nest, expand_composites=False):
    """The tensors of a nest, or their specs, in order and without None."""
    return [leaf for leaf in tf.nest.flatten(nest, expand_composites) if leaf is not None]


def packed(form, tensors, expand_composites=False):
    """The nest of which `tensors_in` gave `tensors`, where `form` is one like it."""
    left = iter(tensors)
    leaves = [None if leaf is None else next(left) for leaf in tf.nest.flatten(form, expand_composites)]
    return tf.nest.pack_sequence_as(form, leaves, expand_composites)


def rows(data):
    """The number of examples of a batch, an int32 tensor."""
    first = next(a for a in tf.nest.flatten(data) if a is not None)
    return first.nrows(tf.int32) if isinstance(first, tf.RaggedTensor) else tf.shape(first)[0]


def examples(data):
    """The same as float32."""
    return tf.cast(rows(data), tf.float32)
