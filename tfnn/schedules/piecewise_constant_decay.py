"""A constant rate between given times."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from tfnn.schedules.base import Schedule
from tfnn.schedules.ranges import Rates, Rising


def piecewise_constant(t, boundaries, values):
    passed = tf.reduce_sum(tf.cast(t[..., tf.newaxis] > boundaries, tf.int32), -1)
    return tf.gather(values, passed)


@keras.saving.register_keras_serializable("tfnn")
@dataclasses.dataclass(eq=False)
class PiecewiseConstantDecay(Schedule):
    """η(t) = values[i], where i is the number of boundaries before t.

    Arguments and behaviour are those of `keras.optimizers.schedules.PiecewiseConstantDecay`: at a boundary the old value
    still holds. To change a rate at the start of an epoch use `StepDecay`, which changes it at its milestones.

    Args:
        boundaries: times in rising order, in the unit of the clock: updates, or epochs inside `InEpochs`.
        values: the rates, one more than there are boundaries.

    Raises:
        ValueError: if `boundaries` do not rise, a value is negative, or there is not one value more than boundaries.

    Example:
        >>> optimizer = tfnn.optimizers.SGD(tfnn.schedules.PiecewiseConstantDecay([1000, 2000], [0.1, 0.02, 0.005]))
    """

    boundaries: Rising
    values: Rates
    name: str = "PiecewiseConstant"

    def __post_init__(self):
        super().__post_init__()
        self.boundaries, self.values = np.asarray(self.boundaries).tolist(), np.asarray(self.values).tolist()
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(f"values={self.values} must be one more than boundaries={self.boundaries}")

    def rate(self, t):
        return piecewise_constant(t, tf.constant(self.boundaries, tf.float64), tf.constant(self.values, tf.float64))
