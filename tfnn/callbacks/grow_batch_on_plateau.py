"""Grow the batch when a metric has stopped improving (Smith et al. 2018, arXiv:1711.00489; lecture, section 4)."""

import math

from tfnn.callbacks import largest
from tfnn.callbacks.plateau import OnPlateau
from tfnn.controls import BatchSteering
from tfnn.internals.callbacks import print_line


class GrowBatchOnPlateau(OnPlateau, BatchSteering):
    """b ← min(factor · b, max_batch_size) when `monitor` has not improved for `patience` epochs.

    Smith et al. 2018 replace each decay of the rate by a larger batch, with which the noise scale g = ηN/b falls alike. This
    is `tfnn.callbacks.ReduceLROnPlateau` with the batch in place of the rate: rule and arguments are the same, and its state
    is part of checkpoints, too. `tfnn.callbacks.BatchSizeScheduler` describes how a batch grows.

    Args:
        monitor, patience, verbose, min_delta, cooldown: as for `tfnn.callbacks.ReduceLROnPlateau`.
        direction: "min", "max" or "auto"; the argument is called `mode` there.
        mode: how the batch grows, "accumulate" or "rebatch", as for `tfnn.callbacks.BatchSizeScheduler`.
        factor: the factor of a growth, above 1; sizes are rounded up to whole numbers.
        max_batch_size: the most examples of an update; None is the number of all training examples.

    Raises:
        ValueError: for an argument out of its range; when the run begins, for a `max_batch_size` below its batch size or
            above the number of training examples.
        RuntimeError: under `model.fit` on other data than a `tfnn.data.growable`.

    Example:
        >>> growth = tfnn.callbacks.GrowBatchOnPlateau("val_loss", factor=2, patience=5, max_batch_size=512)
        >>> tfnn.fit(model, x, y, batch_size=32, epochs=90, validation_split=0.1, callbacks=[growth])
    """

    says = "direction"

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 2,
        patience: int = 10,
        max_batch_size: int | None = None,
        verbose: int = 0,
        direction: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        mode: str = "accumulate",
    ) -> None:
        if not 1 < factor < math.inf:
            raise ValueError(f"factor={factor} must be above 1 and finite")
        super().__init__(monitor, factor, patience, verbose, direction, min_delta, cooldown, mode=mode)
        self.max_batch_size = largest.checked(max_batch_size)

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch)
        if self.max_batch_size is not None:
            largest.check_range(self.max_batch_size, self.controls.first_batch_size, self.controls.available)
            self.controls.check(self.max_batch_size)

    def on_epoch_end(self, epoch, logs=None):
        BatchSteering.on_epoch_end(self, epoch, logs)
        super().on_epoch_end(epoch, logs)

    def act(self, epoch):
        before = round(float(self.controls.planned_batch_size))
        most = self.max_batch_size or self.controls.available or math.inf
        size = min(math.ceil(before * self.factor), most)
        if size <= before:
            return False
        self.controls.set_batch_size(size)
        if self.verbose:
            print_line(f"\nEpoch {epoch + 1}: GrowBatchOnPlateau growing the batch to {size}.")
        return True
