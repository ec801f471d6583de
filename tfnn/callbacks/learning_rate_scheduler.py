"""Set the learning rate during a run (lecture, section 4)."""

import inspect
from collections.abc import Callable
from typing import Any

import keras

from tfnn.callbacks.steered_rate import follow, is_schedule, log_rates, make_settable, named, rate_of, set_rate, tell
from tfnn.checks import integer, number
from tfnn.controls import Steering


class LearningRateScheduler(Steering):
    """Sets the learning rate at the start of each epoch, or before each update, in `tfnn.fit` and `model.fit`.

    η = schedule(epoch) or schedule(update). It works with any rate that the optimizer was compiled with, including a
    `LearningRateSchedule`, with which `keras.callbacks.LearningRateScheduler` raises. Epochs count from 0; updates are those
    of the optimizer, whose count continues over several runs and resumes. The last rate stays after the run. The rate is in
    the logs as `learning_rate`.

    by="epoch" sets a number for each epoch, which overwrites the rate that another callback had set, as in Keras.
    by="update" makes a `LearningRateSchedule` the rate of the graph, which costs nothing. A function is called on the host
    before each update, so that the trainer runs updates one by one; a dict interrupts it only where one of its rates begins.
    `model.fit` asks once per `steps_per_execution` updates.

    Args:
        schedule: a `keras.optimizers.schedules.LearningRateSchedule` such as `tfnn.schedules.Warmup`, whose steps are epochs or
            updates, as `by` says; or {epoch or update: rate}, where each rate holds from there on; or a function of the
            epoch or update, or of that and the present rate.
        by: "epoch" or "update".
        verbose: 1 prints each epoch's rate.

    Raises:
        ValueError: for a schedule of another kind, or a rate that is not a finite number of at least 0.

    Example:
        >>> one_cycle = tfnn.callbacks.LearningRateScheduler(tfnn.schedules.OneCycle(0.5, 1000), by="update")
        >>> tfnn.fit(model, x, y, batch_size=32, epochs=30, callbacks=[one_cycle])
    """

    def __init__(
        self,
        schedule: keras.optimizers.schedules.LearningRateSchedule | dict[int, float] | Callable[..., Any],
        by: str = "epoch",
        verbose: int = 0,
    ) -> None:
        super().__init__()
        if by not in ("epoch", "update"):
            raise ValueError(f"by={by!r} must be 'epoch' or 'update'")
        if isinstance(schedule, dict):
            check_plan(schedule, by)
        elif not callable(schedule):
            raise ValueError(f"schedule={schedule!r} must be a LearningRateSchedule, a dict {{{by}: rate}} or a function")
        self.schedule, self.by, self.verbose = schedule, by, verbose

    @property
    def in_graph(self):
        return self.by == "update" and is_schedule(self.schedule)

    def set_model(self, model):
        super().set_model(model)
        if self.in_graph:
            follow(model, self.schedule)
        else:
            make_settable(model)

    def on_train_begin(self, logs=None):
        self.asked = None  # the update for which the schedule was last asked

    def on_epoch_begin(self, epoch, logs=None):
        if self.by == "epoch":
            self.set_rates(epoch)
        if self.verbose:
            for optimizer, name in named(self.model):
                tell(self, epoch, "setting", name, rate_of(optimizer))

    def updates_until_due(self, update):
        if self.by == "epoch" or self.in_graph:
            return None
        if callable(self.schedule):
            return 1
        return min((begin - update for begin in self.schedule if begin > update), default=None)

    def on_update_begin(self, update):
        if self.by == "update" and not self.in_graph and update != self.asked:  # only once, as the rate may depend on itself
            self.asked = update
            self.set_rates(update)

    def on_epoch_end(self, epoch, logs=None):
        log_rates(self.model, logs)

    def set_rates(self, time):
        if isinstance(self.schedule, dict) and time < min(self.schedule):
            return
        for optimizer, _ in named(self.model):
            set_rate(optimizer, checked(f"the learning rate of {self.by} {time}", self.rate_at(time, optimizer)))

    def rate_at(self, time, optimizer):
        if isinstance(self.schedule, dict):
            return self.schedule[max(begin for begin in self.schedule if begin <= time)]
        return self.schedule(time, rate_of(optimizer)) if takes_two(self.schedule) else self.schedule(time)


def check_plan(plan, by):
    if not plan:
        raise ValueError(f"schedule={{}} must hold a rate at least: {{{by}: rate}}")
    for time, rate in plan.items():
        integer(f"an {by} of the schedule", time)
        checked(f"the learning rate from {by} {time} on", rate)


def checked(name, rate):
    return float(number(name, rate, wanted="a finite number of at least 0"))


def takes_two(function):
    """Whether a function takes (epoch, rate). Keras finds out by calling it, which hides any TypeError inside it."""
    try:
        inspect.signature(function).bind(0, 0.0)
    except (TypeError, ValueError):
        return False
    return True
