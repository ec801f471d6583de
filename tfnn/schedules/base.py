"""The base of all schedules: time and rate in float64, checks of arguments, serialisation."""

import dataclasses
import math
import typing

import keras
import numpy as np
import tensorflow as tf

from tfnn.schedules.ranges import check


def exact(step):
    """A step as float64; `tf.cast` alone would first make a Python float a float32."""
    return tf.cast(tf.convert_to_tensor(step, dtype_hint=tf.float64), tf.float64)


def whole(p):
    """⌊p⌋, except that a p which only rounding keeps below a whole number, like 0.3 / 0.1 below 3, counts as that number."""
    return tf.floor(p * (1 + 1e-12))


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Base of tfnn's schedules: a dataclass, whose fields are the constructor's arguments, with a method `rate(t)`.

    A field that is annotated with a `Range` is checked. `rate` takes and returns float64, because a float32 cannot count
    single steps beyond 2^24; there Keras's own schedules stand still.
    """

    end = math.inf  # the time at which the last rate is reached; infinity for a schedule that never ends
    rise = 0  # the time at which a first rise of the rate ends

    def __post_init__(self):
        for field in dataclasses.fields(self):
            if hasattr(getattr(self, field.name), "__array__"):  # a tensor, a variable or NumPy's: its value now, for JSON
                setattr(self, field.name, np.asarray(getattr(self, field.name)).tolist())
            if typing.get_origin(field.type) is typing.Annotated:
                check(field.name, getattr(self, field.name), field.type)

    def __call__(self, step):
        return tf.cast(self.rate(exact(step)), keras.config.floatx())

    def get_config(self):
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
