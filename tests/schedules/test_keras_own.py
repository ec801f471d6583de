"""Keras's own tests of its schedules pass with ours of the same name."""

import types

import keras

import tfnn
from tests.keras_own import keras_tests

ours = {name: getattr(tfnn.schedules, name, part) for name, part in vars(keras.optimizers.schedules).items()}
globals().update(keras_tests("optimizers.schedules.learning_rate_schedule_test", schedules=types.SimpleNamespace(**ours)))
