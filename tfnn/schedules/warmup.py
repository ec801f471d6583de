"""Gradual warm-up of the learning rate (Goyal et al. 2017, arXiv:1706.02677, section 2.2)."""

import keras
import tensorflow as tf

from tfnn.schedules.cosine import Cosine
from tfnn.schedules.wrapper import ScheduleWrapper

# Schedules that end at decay_steps; to Keras's exponential and inverse-time decay that is a period.
ENDING = (Cosine, keras.optimizers.schedules.CosineDecay, keras.optimizers.schedules.PolynomialDecay)


def ramp(t, steps, start):
    return start + (1 - start) * tf.minimum(t / steps, 1.0)


@keras.saving.register_keras_serializable("tfnn")
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
        ValueError: if `steps` is negative or not below the `decay_steps` of `schedule`, or `start` is not in [0, 1].

    Example:
        >>> rate = tfnn.schedules.Warmup(tfnn.schedules.Cosine(0.1, decay_steps=10_000), steps=500)
        >>> optimizer = tfnn.optimizers.SGD(rate, momentum=0.9)
    """

    def __init__(self, schedule, steps, start=0.0, name="Warmup"):
        super().__init__(schedule, name)
        end = schedule.decay_steps if isinstance(schedule, ENDING) else float("inf")
        if not 0 <= steps < end:
            raise ValueError(f"steps={steps} of warm-up must be at least 0 and below the schedule's decay_steps={end}")
        if not 0 <= start <= 1:
            raise ValueError(f"start={start} must be in [0, 1]")
        self.steps, self.start = steps, start

    def __call__(self, step):
        if self.steps == 0:
            return self.schedule(step)
        t = tf.cast(step, tf.float64)
        rate = self.schedule(tf.maximum(t, self.steps))
        return rate * tf.cast(ramp(t, self.steps, self.start), rate.dtype)

    def get_config(self):
        return {**super().get_config(), "steps": self.steps, "start": self.start}
