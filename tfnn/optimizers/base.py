"""What all optimizers share, and the one place of the family that touches Keras's internals."""

import keras
import tensorflow as tf


class Hyperparameter:
    """A number of an update rule that lives in a `tf.Variable`, so that setting it in a run needs no new trace.

    Reading it gives a float; `optimizer.tensor(name, dtype)` gives what the graph computes with.

    Args:
        low, high: the allowed range [low, high).
    """

    def __init__(self, low, high):
        self.low, self.high = low, high

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, optimizer, owner=None):
        if optimizer is None:
            return self
        if self.name not in optimizer.hyperparameters:  # Keras reads an attribute before it is first set
            raise AttributeError(self.name)
        return float(optimizer.hyperparameters[self.name])

    def __set__(self, optimizer, value):
        if not self.low <= value < self.high:
            raise ValueError(f"{self.name}={value} must be in [{self.low}, {self.high})")
        if self.name in optimizer.hyperparameters:
            optimizer.hyperparameters[self.name].assign(value)
        else:
            with tf.init_scope():
                optimizer.hyperparameters[self.name] = tf.Variable(value, dtype=tf.float64, trainable=False, name=self.name)


class Optimizer(keras.optimizers.Optimizer):
    """Base of tfnn's optimizers: a Keras optimizer whose `update_step` may call a fused kernel.

    A subclass gives `slots`, the names of its state variables of the weights' shape, and two updates of one weight:
    `kernel_step` by a fused TensorFlow kernel, and `rule_step` in plain TensorFlow. The second takes over for sparse
    gradients and for dtypes without a kernel; both give the same numbers.
    """

    slots = ()
    kernel_dtypes = (tf.float16, tf.bfloat16, tf.float32, tf.float64)

    def __init__(self, learning_rate, **kwargs):
        if isinstance(learning_rate, (int, float)) and not learning_rate >= 0:
            raise ValueError(f"learning_rate={learning_rate} must not be negative")
        super().__init__(learning_rate=learning_rate, **kwargs)

    @property
    def hyperparameters(self):
        """Name to `tf.Variable`. They are settings, not state: outside `variables`, which Keras saves and counts."""
        return self.__dict__.setdefault("_hyperparameters", {})

    def tensor(self, name, dtype):
        return tf.cast(self.hyperparameters[name], dtype)

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.state = {slot: self.add_optimizer_variables(variables, slot) for slot in self.slots}

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        state = [self.state[slot][index].value for slot in self.slots]
        lr = tf.cast(learning_rate, variable.dtype)
        if isinstance(gradient, tf.IndexedSlices) or variable.dtype not in self.kernel_dtypes:
            self.rule_step(variable, tf.cast(tf.convert_to_tensor(gradient), variable.dtype), lr, *state)
        else:
            self.kernel_step(variable, tf.cast(gradient, variable.dtype), lr, *state)
