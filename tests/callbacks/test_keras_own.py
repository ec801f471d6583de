"""Keras's own tests of its callbacks pass with ours of the same name."""

import types

import keras

import tfnn
from tests.keras_own import keras_tests

ours = types.SimpleNamespace(**{name: getattr(tfnn.callbacks, name, part) for name, part in vars(keras.callbacks).items()})
schedule_works = ["test_throws_when_optimizer_has_schedule"]  # ours sets the rate there
for name in "learning_rate_scheduler", "reduce_lr_on_plateau":
    globals().update(keras_tests(f"callbacks.{name}_test", excepted=schedule_works, callbacks=ours))
