"""What all schedules share: time and rate in float64, the check of arguments, serialisation."""

import dataclasses
import math

import keras
import tensorflow as tf

from tfnn.schedules.ranges import Range


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Base of tfnn's schedules: a dataclass, whose fields are the constructor's arguments, with a method `rate(t)`.

    A field that is annotated with a `Range` is checked. `rate` takes and gives float64, because a float32 loses single
    steps beyond 2^24, where Keras's own schedules stand still.
    """

    end = math.inf  # the time at which the last rate is reached; infinity for a schedule that goes on

    def __post_init__(self):
        for field in dataclasses.fields(self):
            if isinstance(field.type, Range):
                field.type.check(field.name, getattr(self, field.name))

    def __call__(self, step):
        return tf.cast(self.rate(tf.cast(step, tf.float64)), keras.config.floatx())

    def get_config(self):
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
