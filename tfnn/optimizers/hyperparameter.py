"""Numbers of an update rule that may change in a run."""

import keras
import tensorflow as tf

VARIABLES = tf.Variable, keras.Variable


class Hyperparameter:
    """A number of an optimizer that lives in a `tf.Variable`, so that setting it in a run needs no new trace.

    It is set to a number, or to a variable that the graph then reads at each update. Reading it gives a float.

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
        return None if value is None else float(value)

    def __set__(self, optimizer, value):
        held, built = optimizer.hyperparameters.get(self.name), getattr(optimizer, "built", False)
        if built and (value is None) != (held is None):
            raise ValueError(
                f"{self.name}={value} comes too late: the optimizer was built with {self.name}={held and float(held)}"
            )
        if value is None and self.optional:
            optimizer.hyperparameters[self.name] = None
        elif value is None or not self.low <= float(value) < self.high:
            raise ValueError(f"{self.name}={value} must be in [{self.low}, {str(self.high).replace('inf', '∞')})")
        elif isinstance(value, VARIABLES):
            optimizer.hyperparameters[self.name] = value
        elif held is not None:
            held.assign(value)
        else:
            with tf.init_scope():
                optimizer.hyperparameters[self.name] = tf.Variable(value, dtype=tf.float64, trainable=False, name=self.name)

    def number(self, optimizer, dtype):
        """The value as `dtype` rounds it, a float64 tensor: 1 − β^t then fits the sums that a kernel makes in `dtype`."""
        return tf.cast(tf.cast(optimizer.hyperparameters[self.name], dtype), tf.float64)


class Epsilon(Hyperparameter):
    """δ ≥ 0. A floor of 1e-30 keeps 0/0, of a weight whose gradients were all 0, at 0; no other quotient feels it."""

    def number(self, optimizer, dtype):
        return tf.maximum(super().number(optimizer, dtype), 1e-30)


@keras.saving.register_keras_serializable("tfnn")
class VariableRate:
    """A learning rate that is read from, and set in, a variable of the user's."""

    def __init__(self, variable):
        self.variable = variable

    def __call__(self):
        return self.variable

    def assign(self, value):
        self.variable.assign(value)

    def get_config(self):
        return {"value": float(self.variable)}

    @classmethod
    def from_config(cls, config):
        return cls(tf.Variable(config["value"], trainable=False))
