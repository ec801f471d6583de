"""Lets a callback set the learning rate, whatever rate the optimizer was compiled with."""

import keras
import tensorflow as tf

from tfnn.controls import SettableRate
from tfnn.controls.nested import training_optimizers
from tfnn.internals.callbacks import print_line
from tfnn.internals.compiled import forget_training
from tfnn.internals.optimizers import rate_in


@keras.saving.register_keras_serializable("tfnn")
class SteeredRate(keras.optimizers.schedules.LearningRateSchedule, SettableRate):
    """η(t) = factor · (the rate that was set, or else schedule(t)): a schedule's rate that a callback can set and scale.

    Both numbers are variables, so setting them needs no new trace. They are part of the run's state: a later `fit`, the
    saved model and checkpoints keep them.

    Args:
        schedule: a `LearningRateSchedule`, or a function without arguments.
        rate: the rate that was set; None follows `schedule`.
        factor: the factor by which either is scaled.
    """

    def __init__(self, schedule, rate=None, factor=1.0):
        self.schedule = schedule
        number = lambda value: tf.Variable(value, dtype=tf.float64, trainable=False)
        self.rate, self.factor = number(float("nan") if rate is None else rate), number(factor)

    def __call__(self, step):
        planned = self.schedule(step) if is_schedule(self.schedule) else self.schedule()
        rate = tf.where(tf.math.is_nan(self.rate), tf.cast(planned, tf.float64), self.rate)
        return tf.cast(rate * self.factor, keras.config.floatx())

    def assign(self, rate):
        """Makes `rate` the rate from now on, whatever was set before."""
        self.rate.assign(rate)
        self.factor.assign(1.0)

    @property
    def state(self):
        return {"learning_rate/rate": self.rate, "learning_rate/factor": self.factor}

    @property
    def followed(self):
        return self.schedule

    def get_config(self):
        rate = as_float(self.rate)
        return {
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "rate": None if rate != rate else rate,
            "factor": as_float(self.factor),
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "schedule": keras.saving.deserialize_keras_object(config["schedule"])})


def make_settable(model):
    """Makes the rates of a compiled model settable. Call it in a callback's `set_model`, before anything is traced.

    Raises:
        ValueError: for a `MultiOptimizer` that does not know its optimizers yet.
    """
    for optimizer in known(model):
        if not hasattr(rate_in(optimizer), "assign"):  # otherwise it is a variable, or was made settable before
            install(model, optimizer, rate_in(optimizer))


def follow(model, schedule):
    """Makes `schedule` the learning rate of a compiled model, in place of its present one."""
    for optimizer in known(model):
        held = rate_in(optimizer)
        if not (isinstance(held, SteeredRate) and held.schedule is schedule):
            install(model, optimizer, schedule)


def known(model):
    found = training_optimizers(model)
    if not found:
        raise ValueError(
            f"the optimizer {model.optimizer.name!r} does not know yet those whose rate is to be set: call"
            " optimizer.build(model.trainable_variables) before the run"
        )
    return found


def install(model, optimizer, schedule):
    with model.distribute_strategy.scope():
        optimizer.learning_rate = SteeredRate(schedule)
    forget_training(model)  # the traced function holds the rate from before


def rate_of(optimizer):
    return as_float(optimizer.learning_rate)


def set_rate(optimizer, rate):
    rate_in(optimizer).assign(rate)


def rescale(optimizer, rate):
    """Makes `rate` the present rate, and scales all later rates of a schedule by the same factor."""
    held = rate_in(optimizer)
    if isinstance(held, SteeredRate):
        held.factor.assign(rate / rate_of(optimizer) * held.factor)
    else:
        held.assign(rate)


def multiply(optimizer, by):
    """Makes the present rate, and all later rates of a schedule, `by` times as large."""
    held = rate_in(optimizer)
    if isinstance(held, SteeredRate):
        held.factor.assign(held.factor * by)
    else:
        held.assign(rate_of(optimizer) * by)


def log_rates(model, logs):
    """Writes the present rates into an epoch's logs, if there are any, under the names that Keras's callbacks give them."""
    for optimizer, name in named(model):
        if logs is not None:
            logs[f"learning_rate_{name}" if name else "learning_rate"] = rate_of(optimizer)


def named(model):
    """[(optimizer, its name)] of all optimizers with a rate; those of no `MultiOptimizer` have the name ""."""
    found = training_optimizers(model)
    several = hasattr(model.optimizer, "optimizers")
    return [(optimizer, optimizer.name if several else "") for optimizer in found]


def tell(callback, epoch, does, name, rate):
    """Prints a line as Keras's callbacks do, below the progress bar."""
    of = f"{name} " if name else ""
    print_line(f"\nEpoch {epoch + 1}: {type(callback).__name__} {does} {of}learning rate to {float(f'{rate:.6g}')}.")


def is_schedule(rate):
    return isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)


def as_float(number):
    return float(tf.convert_to_tensor(number))
