"""Step decay: the rate falls by a factor after a fixed number of epochs (lecture, section 4)."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Annotated

import keras
import numpy as np
import tensorflow as tf

from tfnn.schedules.base import Schedule, whole
from tfnn.schedules.exponential_decay import exponential
from tfnn.schedules.ranges import NotNegative, Positive, Range


def rising_from_zero(steps):
    steps = np.atleast_1d(steps)
    return len(steps) and all(a < b for a, b in itertools.pairwise([0, *steps, np.inf]))


Steps = Annotated[float | Sequence[float], Range("a positive number or a list of rising positive ones", rising_from_zero)]


@keras.saving.register_keras_serializable("tfnn")
@dataclasses.dataclass(eq=False)
class StepDecay(Schedule):
    """η(t) = η_0 γ^p, where p is the number of periods, or of milestones, that have passed at t.

    Lecture, section 4; He et al. 2016 (arXiv:1512.03385, section 4.2) divide by 10 at two milestones. With a period it is
    `ExponentialDecay(..., staircase=True)`. At a milestone the new rate already holds.

    Args:
        initial_learning_rate: η_0.
        decay_steps: a period, or a list of milestones, in the unit of the clock: updates, or epochs inside `InEpochs`.
        decay_rate: γ, the factor of each step.

    Raises:
        ValueError: if `decay_steps` is neither a positive number nor a list of rising ones, `decay_rate` is not positive or
            `initial_learning_rate` is negative.

    Example:
        >>> rate = tfnn.schedules.InEpochs(tfnn.schedules.StepDecay(0.1, [82, 123]))
    """

    initial_learning_rate: NotNegative
    decay_steps: Steps
    decay_rate: Positive = 0.1
    name: str = "StepDecay"

    def __post_init__(self):
        super().__post_init__()
        self.decay_steps = np.asarray(self.decay_steps).tolist()

    def rate(self, t):
        return exponential(self.passed(t), self.initial_learning_rate, self.decay_rate)

    def passed(self, t):
        if not isinstance(self.decay_steps, list):
            return whole(t / self.decay_steps)
        milestones = tf.constant(self.decay_steps, tf.float64)
        return tf.reduce_sum(tf.cast(t[..., tf.newaxis] >= milestones, tf.float64), -1)
