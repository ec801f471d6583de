"""The common part of callbacks that act when a metric has stopped improving."""

import math

import keras

from tfnn.callbacks.monitor import check_direction, monitored, sign_of
from tfnn.checks import integer, number


def watch(value, best, wait, cooldown, sign, patience, min_delta):
    """The rule: (best, wait, cooldown, whether it is time to act) after an epoch that ended with `value`.

    It is that of Keras's `ReduceLROnPlateau`: a value is better if it exceeds the best by more than `min_delta`, and epochs
    of cooldown do not count as waiting. Unlike there, NaN is never the best, as nothing could be better than it.
    """
    if cooldown:
        cooldown, wait = cooldown - 1, 0
    if sign * value - min_delta > (-math.inf if best is None else sign * best):
        return value, 0, cooldown, False
    if cooldown:
        return best, wait, cooldown, False
    return best, wait + 1, cooldown, wait + 1 >= patience


class OnPlateau(keras.callbacks.Callback):
    """Calls `act(epoch)` when `monitor` has not improved for `patience` epochs; its memory is part of the run's state.

    `act` returns whether it did anything; only then `cooldown` epochs pass before waiting begins anew.
    """

    says = "mode"  # the argument by which a user says which way is better

    def __init__(self, monitor, factor, patience, verbose, direction, min_delta, cooldown, **steering):
        super().__init__(**steering)
        check_direction(self.says, direction)
        if not isinstance(monitor, str):
            raise ValueError(f"monitor={monitor!r} must be the name of an entry of the logs")
        self.patience, self.cooldown = integer("patience", patience), integer("cooldown", cooldown)
        self.min_delta = float(number("min_delta", min_delta))
        self.monitor, self.factor, self.verbose, self.direction = monitor, factor, verbose, direction
        self.reset()

    def reset(self):
        self.best, self.wait, self.cooldown_counter = None, 0, 0
        self.sign, self.warned = None, False

    def on_train_begin(self, logs=None):
        self.reset()

    def on_epoch_end(self, epoch, logs=None):
        value = monitored(self, logs, "does nothing")
        if value is None:
            return
        self.sign = self.sign or sign_of(self, self.says, self.direction)  # not earlier, as `model.fit` makes metrics late
        seen = self.best, self.wait, self.cooldown_counter
        *seen, due = watch(value, *seen, self.sign, self.patience, self.min_delta)
        self.best, self.wait, self.cooldown_counter = seen
        if due and self.act(epoch):
            self.wait, self.cooldown_counter = 0, self.cooldown

    def get_state(self):
        return {"best": self.best, "wait": self.wait, "cooldown_counter": self.cooldown_counter}

    def set_state(self, state):
        self.best, self.wait, self.cooldown_counter = state["best"], state["wait"], state["cooldown_counter"]
