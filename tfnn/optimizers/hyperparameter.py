"""Hyper-parameters of an update rule that may change during a run."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfnn.controls import SettableRate

VARIABLES = tf.Variable, keras.Variable
Number = float | tf.Variable | keras.Variable  # the type of a hyper-parameter
Rate = Number | keras.optimizers.schedules.LearningRateSchedule | Callable[[], Any]  # and of a learning rate


def as_float(value):
    return float(tf.convert_to_tensor(value))  # float() does not take a variable of several replicas


def checked(name, value, low=0, high=float("inf")):
    """`value` as a float in [low, high)."""
    try:
        number = as_float(value) if isinstance(value, (tf.Tensor, *VARIABLES)) else float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not low <= number < high:
        raise ValueError(f"{name}={value} must be in [{low}, {str(high).replace('inf', '∞')})")
    return number


class Hyperparameter:
    """A number of an optimizer that is kept in a `tf.Variable`, so that setting it during a run needs no new trace.

    It can be set to a number, or to a variable that the graph then reads at each update. Reading it gives a float.

    Args:
        low, high: the allowed range [low, high).
        optional: whether it may be None, which leaves it out of the rule.
    """

    def __init__(self, low, high=float("inf"), optional=False):
        self.low, self.high, self.optional = low, high, optional

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, optimizer, owner=None):
        if optimizer is None:
            return self
        if self.name not in optimizer.hyperparameters:  # Keras reads an attribute before it is first set
            raise AttributeError(self.name)
        value = optimizer.hyperparameters[self.name]
        return None if value is None else as_float(value)

    def __set__(self, optimizer, value):
        held, built = optimizer.hyperparameters.get(self.name), getattr(optimizer, "built", False)
        if built and ((value is None) != (held is None) or isinstance(value, VARIABLES)):
            raise ValueError(f"{self.name}={value} comes too late: give None or a variable before the optimizer is built")
        if value is None and self.optional:
            optimizer.hyperparameters[self.name] = None
            return
        number = checked(self.name, value, self.low, self.high)
        if isinstance(value, VARIABLES):
            optimizer.hyperparameters[self.name] = value
        elif held is not None:
            held.assign(number)
        else:
            with tf.init_scope():
                optimizer.hyperparameters[self.name] = tf.Variable(number, dtype=tf.float64, trainable=False, name=self.name)

    def number(self, optimizer, dtype):
        """The value rounded to `dtype`, as float64: 1 − β^t then agrees with the sums that a kernel makes in `dtype`."""
        return tf.cast(tf.cast(optimizer.hyperparameters[self.name], dtype), tf.float64)


class Epsilon(Hyperparameter):
    """δ ≥ 0, but at least `floor`, so that 0/0 is 0 for a weight whose gradients were all 0.

    The floor is 1e-18 for a δ beside a root, because the square of a smaller gradient is 0 in float32.
    """

    def __init__(self, low, floor=1e-18):
        super().__init__(low)
        self.floor = floor

    def number(self, optimizer, dtype):
        return tf.maximum(super().number(optimizer, dtype), self.floor)


@keras.saving.register_keras_serializable("tfnn")
class VariableRate(SettableRate):
    """A learning rate that is read from, and set in, a user's variable."""

    def __init__(self, variable):
        self.variable = variable

    def __call__(self):
        return self.variable

    def assign(self, value):
        self.variable.assign(value)

    @property
    def state(self):
        return {"learning_rate": self.variable}

    def get_config(self):
        return {"value": as_float(self.variable)}

    @classmethod
    def from_config(cls, config):
        return cls(tf.Variable(config["value"], trainable=False))
