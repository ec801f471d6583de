"""Gradual warm-up of the learning rate (Goyal et al. 2017, arXiv:1706.02677, section 2.2)."""

import dataclasses

import keras
import tensorflow as tf

from tfnn.schedules.ranges import Fraction, NotNegative
from tfnn.schedules.wrapper import ScheduleWrapper


def ramp(t, steps, start):
    return start + (1 - start) * tf.minimum(t / steps, 1.0)


@keras.saving.register_keras_serializable("tfnn")
@dataclasses.dataclass(eq=False)
class Warmup(ScheduleWrapper):
    """A linear ramp up to `schedule`: η(t) = schedule(W) · (s + (1 − s) t / W) for t < W, then schedule(t).

    Goyal et al. 2017, section 2.2. As there, the schedule is not shifted: its own clock runs from step 0, so a run that
    was planned to end at step T still ends there. `Warmup(schedule, 0)` is `schedule`.

    Args:
        schedule: the `LearningRateSchedule` that follows the ramp.
        steps: W, in the unit of the clock: updates, or epochs inside `InEpochs`.
        start: s, the first rate as a fraction of the ramp's end; Goyal et al. start at 1/k for k-fold batches.

    Raises:
        TypeError: if `schedule` is not a `LearningRateSchedule`.
        ValueError: if `steps` is negative or not below the end of `schedule`, where it has one, or `start` is not in [0, 1].

    Example:
        >>> rate = tfnn.schedules.Warmup(tfnn.schedules.Cosine(0.1, decay_steps=10_000), steps=500)
        >>> optimizer = tfnn.optimizers.SGD(rate, momentum=0.9)
    """

    steps: NotNegative
    start: Fraction = 0.0
    name: str = "Warmup"

    def __post_init__(self):
        super().__post_init__()
        if self.steps >= self.end:
            raise ValueError(f"steps={self.steps} of warm-up must be below the end of the schedule, {self.end}")

    @property
    def rise(self):
        return max(self.steps, getattr(self.schedule, "rise", 0))

    def rate(self, t):
        if self.steps == 0:
            return self.inner(t)
        return self.inner(tf.maximum(t, self.steps)) * ramp(t, self.steps, self.start)
