"""Keras's own tests of its optimizers pass with ours. Excepted by name: tests of a message that we word otherwise."""

import tfnn
from tests.keras_own import keras_tests

globals().update(keras_tests("optimizers.sgd_test", SGD=tfnn.optimizers.SGD, excepted=["test_invalid_momentum"]))
