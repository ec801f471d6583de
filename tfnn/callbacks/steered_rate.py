"""How a callback sets the learning rate, whatever the optimizer was compiled with."""

import keras
import tensorflow as tf

from tfnn.internals.callbacks import print_line
from tfnn.internals.compiled import forget_training
from tfnn.internals.optimizers import rate_in


@keras.saving.register_keras_serializable("tfnn")
class SteeredRate(keras.optimizers.schedules.LearningRateSchedule):
    """η(t) = factor · (the rate that was set, or else schedule(t)): a schedule's rate that a callback can set and scale.

    Both numbers are variables, so setting them needs no new trace. They are state of the run: they go on in a later `fit`,
    into the saved model and into checkpoints.

    Args:
        schedule: a `LearningRateSchedule`, or a function without arguments.
        rate: that was set; None follows `schedule`.
        factor: by which that is scaled.
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
    """Lets the rates of a compiled model be set. For a callback's `set_model`, which comes before anything is traced.

    Raises:
        ValueError: for a `MultiOptimizer` that does not know its optimizers yet.
    """
    for optimizer in known(model):
        if not hasattr(rate_in(optimizer), "assign"):  # else it is a variable, or was made settable before
            install(model, optimizer, rate_in(optimizer))


def follow(model, schedule):
    """Makes `schedule` the learning rate of a compiled model, in the place of that which it has."""
    for optimizer in known(model):
        held = rate_in(optimizer)
        if not (isinstance(held, SteeredRate) and held.schedule is schedule):
            install(model, optimizer, schedule)


def known(model):
    found = optimizers_of(model.optimizer)
    if not found:
        raise ValueError(
            f"the optimizer {model.optimizer.name!r} does not know yet those whose rate is to be set: call"
            " optimizer.build(model.trainable_variables) before the run"
        )
    return found


def install(model, optimizer, schedule):
    with model.distribute_strategy.scope():
        optimizer.learning_rate = SteeredRate(schedule)
    forget_training(model)  # which holds the rate of before


def rate_of(optimizer):
    return as_float(optimizer.learning_rate)


def set_rate(optimizer, rate):
    rate_in(optimizer).assign(rate)


def rescale(optimizer, rate):
    """Makes `rate` the present rate. All that a schedule gives later is scaled by as much."""
    held = rate_in(optimizer)
    if isinstance(held, SteeredRate):
        held.factor.assign(rate / rate_of(optimizer) * held.factor)
    else:
        held.assign(rate)


def multiply(optimizer, by):
    """Makes the present rate, and all that a schedule gives later, `by` times as large."""
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
    """[(optimizer, its name)] of all that have a rate; a single one needs no name: ""."""
    several = hasattr(model.optimizer, "optimizers")
    return [(optimizer, optimizer.name if several else "") for optimizer in optimizers_of(model.optimizer)]


def tell(callback, epoch, does, name, rate):
    """A line as Keras's callbacks print it: on a line of its own below the progress bar."""
    of = f"{name} " if name else ""
    print_line(f"\nEpoch {epoch + 1}: {type(callback).__name__} {does} {of}learning rate to {float(f'{rate:.6g}')}.")


def optimizers_of(optimizer):
    """The optimizers that have a learning rate: that inside a `LossScaleOptimizer`, those of a `MultiOptimizer`, or itself."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return getattr(inner, "optimizers", [inner])


def is_schedule(rate):
    return isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)


def as_float(number):
    return float(tf.convert_to_tensor(number))
