"""The base of schedules that modify another schedule: its check, its rate in float64, its end and its serialisation."""

import dataclasses
import math

import keras
import tensorflow as tf

from tfnn.schedules.base import Schedule


@dataclasses.dataclass(eq=False)
class ScheduleWrapper(Schedule):
    schedule: keras.optimizers.schedules.LearningRateSchedule

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.schedule, keras.optimizers.schedules.LearningRateSchedule):
            raise TypeError(f"schedule must be a keras LearningRateSchedule, got {self.schedule!r}")

    def inner(self, t):
        """The rate of the inner schedule in float64; Keras's own round it to float32."""
        return self.schedule.rate(t) if isinstance(self.schedule, Schedule) else tf.cast(self.schedule(t), tf.float64)

    @property
    def end(self):
        return self.schedule.end if isinstance(self.schedule, Schedule) else end_in_keras(self.schedule)

    def get_config(self):
        return {**super().get_config(), "schedule": keras.optimizers.schedules.serialize(self.schedule)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "schedule": keras.optimizers.schedules.deserialize(config["schedule"])})


def end_in_keras(schedule):
    """When a schedule of Keras ends. In its exponential and inverse-time decay, `decay_steps` is a period and not the end."""
    if isinstance(schedule, keras.optimizers.schedules.CosineDecay):
        return schedule.decay_steps + (schedule.warmup_steps if schedule.warmup_target is not None else 0)
    if isinstance(schedule, keras.optimizers.schedules.PolynomialDecay) and not schedule.cycle:
        return schedule.decay_steps
    return math.inf
