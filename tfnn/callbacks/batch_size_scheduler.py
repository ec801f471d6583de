"""Grow the batch in a run (Smith et al. 2018, arXiv:1711.00489; lecture, section 4)."""

import operator

from tfnn.controls import BatchSteering


class BatchSizeScheduler(BatchSteering):
    """Sets the batch size at the start of each epoch of `tfnn.fit`.

    SGD's noise scale is g = ηN/b (Smith & Le 2017): a batch b that grows lowers it as a rate η that decays does, with
    fewer updates. The graph holds the first batch size as its micro-batch and accumulates; a grown batch is rounded to
    whole micro-batches and η is scaled by the rounding, so that η/b is what was asked for. Nothing is traced anew.
    BatchNorm's moments stay those of a micro-batch.

    Args:
        schedule: {epoch: batch size}, each size holding from its epoch on (epochs count from 0), or a function of the
            epoch that returns the batch size.

    Raises:
        ValueError: for a batch size that is not an integer, is below the run's first or above the number of examples.
        RuntimeError: under `model.fit`, whose batch size is fixed.

    Example:
        >>> growth = tfnn.callbacks.BatchSizeScheduler({10: 64, 20: 128})
        >>> tfnn.fit(model, x, y, batch_size=32, epochs=30, callbacks=[growth])
    """

    def __init__(self, schedule, mode="accumulate"):
        super().__init__(mode)
        if not callable(schedule):
            check_plan(schedule)
        self.schedule = schedule

    def on_epoch_begin(self, epoch, logs=None):
        size = self.schedule(epoch) if callable(self.schedule) else self.planned(epoch)
        if size is not None:
            self.controls.set_batch_size(whole(size, f"the batch size of epoch {epoch}"))

    def planned(self, epoch):
        begun = [e for e in self.schedule if e <= epoch]
        return self.schedule[max(begun)] if begun else None


def check_plan(plan):
    for epoch, size in plan.items():
        whole(epoch, "an epoch of the schedule")
        if whole(size, f"the batch size from epoch {epoch} on") < 1:
            raise ValueError(f"the batch size from epoch {epoch} on must be positive, got {size}")


def whole(number, what):
    try:
        return operator.index(number)
    except TypeError:
        raise ValueError(f"{what} must be an integer, got {number!r}") from None
