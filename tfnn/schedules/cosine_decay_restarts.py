"""Cosine decay with warm restarts (Loshchilov & Hutter 2017, SGDR, arXiv:1608.03983, section 3)."""

import dataclasses
import math

import keras
import tensorflow as tf

from tfnn.schedules.base import Schedule, whole
from tfnn.schedules.cosine import cosine
from tfnn.schedules.ranges import AtLeastOne, Fraction, NotNegative, Positive


def restarts(t, t_0, t_mult):
    """(i, fraction): the number of restarts up to t, and the elapsed part of period i, which lasts t_0 · t_mult^i."""
    p = t / t_0
    if t_mult == 1:
        return whole(p), p - whole(p)
    i = whole(tf.math.log1p(p * (t_mult - 1)) / math.log(t_mult))
    begin = (t_mult**i - 1) / (t_mult - 1)
    return i, (p - begin) / t_mult**i


@keras.saving.register_keras_serializable("tfnn")
@dataclasses.dataclass(eq=False)
class CosineDecayRestarts(Schedule):
    """`Cosine` again and again: period i lasts T_i = T_0 · t_mul^i and begins at η_i = η_min + m_mul^i (η_max − η_min).

    η(t) = η_min + ½ (η_i − η_min)(1 + cos(π t_i / T_i)), with t_i the time since the last restart.
    Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5 and section 3; arguments, defaults and the factor m_mul, which the
    paper does not have, are those of `keras.optimizers.schedules.CosineDecayRestarts`.

    Args:
        initial_learning_rate: η_max, the rate at step 0.
        first_decay_steps: T_0, in the unit of the clock: updates, or epochs inside `InEpochs`.
        t_mul: the factor by which each period is longer than the one before, at least 1.
        m_mul: the factor by which each restart multiplies the height above η_min.
        alpha: η_min as a fraction of η_max.

    Raises:
        ValueError: for an argument out of its range.

    Example:
        >>> rate = tfnn.schedules.InEpochs(tfnn.schedules.CosineDecayRestarts(0.05, 10))  # restarts after 10, 30, 70 epochs
    """

    initial_learning_rate: NotNegative
    first_decay_steps: Positive
    t_mul: AtLeastOne = 2.0
    m_mul: Positive = 1.0
    alpha: Fraction = 0.0
    name: str = "SGDRDecay"

    def rate(self, t):
        i, fraction = restarts(t, self.first_decay_steps, self.t_mul)
        eta_min = self.alpha * self.initial_learning_rate
        eta_i = eta_min + self.m_mul**i * (self.initial_learning_rate - eta_min)
        return cosine(fraction, 1, eta_i, eta_min)
