"""Polynomial decay, which with power 1 is linear decay."""

import dataclasses
import math

import keras
import tensorflow as tf

from tfnn.schedules.base import Schedule
from tfnn.schedules.ranges import NotNegative, Positive


def polynomial(t, t_max, eta, eta_end, power=1.0):
    return eta_end + (eta - eta_end) * (1 - tf.minimum(t / t_max, 1.0)) ** power


@keras.saving.register_keras_serializable("tfnn")
@dataclasses.dataclass(eq=False)
class PolynomialDecay(Schedule):
    """η(t) = η_end + (η_0 − η_end)(1 − t / T)^power for t ≤ T, then η_end.

    The "poly" rule of Chen et al. 2016 (DeepLab, arXiv:1606.00915), there with power 0.9 and η_end = 0; arguments and
    defaults are those of `keras.optimizers.schedules.PolynomialDecay`.

    Args:
        initial_learning_rate: η_0.
        decay_steps: T, in the unit of the clock: updates, or epochs inside `InEpochs`.
        end_learning_rate: η_end.
        power: 1 is linear, 0.5 the square root.
        cycle: whether T is doubled, tripled, ... each time it is over, so that the rate rises again and goes on falling.

    Raises:
        ValueError: if `decay_steps` is not positive, or a rate or `power` is negative.

    Example:
        >>> optimizer = tfnn.optimizers.SGD(tfnn.schedules.PolynomialDecay(0.1, decay_steps=10_000, end_learning_rate=0))
    """

    initial_learning_rate: NotNegative
    decay_steps: Positive
    end_learning_rate: NotNegative = 0.0001
    power: NotNegative = 1.0
    cycle: bool = False
    name: str = "PolynomialDecay"

    @property
    def end(self):
        return math.inf if self.cycle else self.decay_steps

    def rate(self, t):
        cycles = tf.maximum(tf.math.ceil(t / self.decay_steps), 1.0) if self.cycle else 1
        return polynomial(t, cycles * self.decay_steps, self.initial_learning_rate, self.end_learning_rate, self.power)
