"""Keras's own tests of its layers pass with ours."""

import types

import keras

import tfnn
from tests.keras_own import keras_tests


def with_ours(*names):
    """`keras.layers`, in which the classes of these names are tfnn's."""
    return types.SimpleNamespace(**vars(keras.layers) | {name: getattr(tfnn.layers, name) for name in names})


globals().update(keras_tests("layers.normalization.batch_normalization_test", layers=with_ours("BatchNormalization")))
