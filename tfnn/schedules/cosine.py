"""Cosine decay (Loshchilov & Hutter 2017, SGDR, arXiv:1608.03983, eq. 5, one cycle)."""

import dataclasses
import math

import keras
import tensorflow as tf

from tfnn.schedules.base import Schedule
from tfnn.schedules.ranges import Fraction, NotNegative, Positive


def cosine(t, t_max, eta_max, eta_min):
    return eta_min + 0.5 * (eta_max - eta_min) * (1 + tf.cos(math.pi * tf.minimum(t / t_max, 1.0)))


@keras.saving.register_keras_serializable("tfnn")
@dataclasses.dataclass(eq=False)
class Cosine(Schedule):
    """η(t) = η_min + ½ (η_max − η_min)(1 + cos(π t / T)) for t ≤ T, then η_min.

    Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5. For a warm-up write `Warmup(Cosine(...), steps)`.

    Args:
        initial_learning_rate: η_max, the rate at step 0.
        decay_steps: T, in the unit of the clock: updates, or epochs inside `InEpochs`.
        alpha: η_min as a fraction of η_max.

    Raises:
        ValueError: if `decay_steps` is not positive, `initial_learning_rate` is negative or `alpha` is not in [0, 1].

    Example:
        >>> optimizer = tfnn.optimizers.SGD(tfnn.schedules.Cosine(0.1, decay_steps=10_000), momentum=0.9)
    """

    initial_learning_rate: NotNegative
    decay_steps: Positive
    alpha: Fraction = 0.0
    name: str = "Cosine"

    @property
    def end(self):
        return self.decay_steps

    def rate(self, t):
        eta_max = self.initial_learning_rate
        return cosine(t, self.decay_steps, eta_max, eta_min=self.alpha * eta_max)
