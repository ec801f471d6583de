"""Grow the batch during a run (Smith et al. 2018, arXiv:1711.00489; lecture, section 4)."""

from collections.abc import Callable
from typing import Any

from tfnn.callbacks.steered_rate import make_settable, multiply, named
from tfnn.checks import integer, plain, positive_integer
from tfnn.controls import BatchSteering


class BatchSizeScheduler(BatchSteering):
    """Sets the batch size at the start of each epoch, or before each update.

    It works under `tfnn.fit`, and under `model.fit` on a `tfnn.data.growable`, whose batches are really larger in either
    `mode`.

    SGD's noise scale is g = ηN/b (Smith & Le 2017): a growing batch b lowers it as a decaying rate η does, but with fewer
    updates. Examples come in the same order whatever the batch is, and gradients are exact means over it:

    - mode="accumulate": an update sums the gradients of micro-batches of the first size. It takes the memory of one of them
      and no new trace. Sizes are rounded to whole micro-batches, and η is scaled to match, so that η/b is what was asked
      for. BatchNorm's moments are those of a micro-batch, and its moving averages are updated once for each.
    - mode="rebatch": batches are really larger, of any size (of whole batches where a stream is read), and take the memory
      that they need, which `tfnn.fit` measures beforehand. BatchNorm's moments are those of the whole batch, so that other
      weights result than with "accumulate". Under XLA each size is traced together with the size of an epoch's last batch,
      and twice where it begins inside an epoch.

    A batch of k times the first size is expected to allow a rate of k times η: see `scale_learning_rate`.

    Args:
        schedule: {epoch or update: batch size}, where each size holds from there on (both count from 0); or a function of the
            epoch or update that returns the batch size, such as `tfnn.schedules.decay_to_growth(...).batch_size` or any
            schedule whose values are whole numbers.
        by: "epoch", or "update" for the optimizer's count of updates, which continues over several runs. A dict then
            interrupts the trainer only where one of its sizes begins; a function is called before each update, so that the
            trainer runs updates one by one.
        mode: "accumulate" or "rebatch".
        scale_learning_rate: whether η is multiplied by b/b_0, where b_0 is the batch size that the run begins with (the
            linear scaling rule: Goyal et al. 2017, arXiv:1706.02677, section 2.1). `model.fit` applies it once
            per `steps_per_execution` updates, and there a callback that sets the rate inside epochs overwrites the scaling.

    Raises:
        ValueError: for a batch size that is not an integer, is below the run's first under mode="accumulate", above the
            number of examples, or too large for the memory under mode="rebatch". Sizes of a dict are checked before the
            first update.
        RuntimeError: under `model.fit` on other data than a `tfnn.data.growable`.

    Example:
        >>> growth = tfnn.callbacks.BatchSizeScheduler({10: 64, 20: 128})
        >>> tfnn.fit(model, x, y, batch_size=32, epochs=30, callbacks=[growth])
    """

    def __init__(
        self,
        schedule: dict[int, int] | Callable[[int], Any],
        by: str = "epoch",
        mode: str = "accumulate",
        scale_learning_rate: bool = False,
    ) -> None:
        super().__init__(mode)
        if by not in ("epoch", "update"):
            raise ValueError(f"by={by!r} must be 'epoch' or 'update'")
        if isinstance(schedule, dict):
            check_plan(schedule, by)
        elif not callable(schedule):
            raise ValueError(f"schedule={schedule!r} must be a dict {{{by}: batch size}} or a function of the {by}")
        self.schedule, self.by, self.scale_learning_rate = schedule, by, scale_learning_rate
        self.scale = 1.0  # the factor by which the rates of `model.fit` are scaled now

    def set_params(self, params):
        super().set_params(params)
        if self.growable is not None and self.scale_learning_rate:
            make_settable(self.model)

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch)
        if isinstance(self.schedule, dict):
            for size in self.schedule.values():
                self.controls.check(size)
        if self.by == "epoch":
            self.set_size(epoch)

    def updates_until_due(self, update):
        if self.by == "epoch":
            return None
        if callable(self.schedule):
            return 1
        return min((begin - update for begin in self.schedule if begin > update), default=None)

    def on_update_begin(self, update):
        if self.by == "update":
            self.set_size(update)
        if self.growable is not None and self.scale_learning_rate:
            self.scale_rates(self.controls.batch_size / self.controls.first_batch_size)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self.scale_rates(1.0)

    def planned(self, update):
        return self.size_at(update) if self.by == "update" else None

    def set_size(self, time):
        size = self.size_at(time)
        if size is not None:
            self.controls.set_batch_size(size, self.scale_learning_rate)

    def scale_rates(self, scale):
        """Scales the rates themselves under `model.fit`, whose graph does not read the controls.

        It does so only inside epochs, so that other callbacks and checkpoints see the same rates as under `tfnn.fit`.
        """
        if scale != self.scale:
            for optimizer, _ in named(self.model):
                multiply(optimizer, scale / self.scale)
            self.scale = scale

    def size_at(self, time):
        """The batch size of an epoch or update, or None before the plan begins."""
        if callable(self.schedule):
            return positive_integer(f"the batch size of {self.by} {time}", plain(self.schedule(time)))
        begun = [begin for begin in self.schedule if begin <= time]
        return self.schedule[max(begun)] if begun else None


def check_plan(plan, by):
    for time, size in plan.items():
        integer(f"an {by} of the schedule", time)
        positive_integer(f"the batch size from {by} {time} on", size)
