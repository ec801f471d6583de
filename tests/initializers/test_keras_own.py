"""Keras's own tests of its initializers pass with ours.

Excepted: `test_orthogonal`, as its last lines ask Keras's string "OrthogonalInitializer" for ours; `test_orthogonal.py`
beside this file states the rest.
"""

import types

import keras

from tests.keras_own import keras_tests
from tfnn import initializers
from tfnn.initializers.fans import fans

ours_over_keras = types.SimpleNamespace(**{**vars(keras.initializers), **vars(initializers)})
globals().update(
    keras_tests(
        "initializers.random_initializers_test",
        initializers=ours_over_keras,
        compute_fans=fans,
        excepted=["test_orthogonal"],
    )
)
globals().update(keras_tests("initializers.constant_initializers_test", initializers=ours_over_keras))
