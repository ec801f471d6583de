"""Grow the batch where a metric has stopped improving (Smith et al. 2018, arXiv:1711.00489; lecture, section 4)."""

import math

from tfnn.callbacks import largest
from tfnn.callbacks.plateau import OnPlateau
from tfnn.controls import BatchSteering
from tfnn.internals.callbacks import print_line


class GrowBatchOnPlateau(OnPlateau, BatchSteering):
    """b ← min(factor · b, max_batch_size) where `monitor` has not improved for `patience` epochs.

    Smith et al. 2018 put a larger batch in the place of each decay of the rate, as the noise scale g = ηN/b falls alike. This
    is `tfnn.callbacks.ReduceLROnPlateau` with the batch in the rate's place: the same rule and arguments, and what it has
    seen is part of a checkpoint, too. How a batch grows `tfnn.callbacks.BatchSizeScheduler` tells.

    Args:
        monitor, patience, verbose, min_delta, cooldown: as for `tfnn.callbacks.ReduceLROnPlateau`.
        direction: what is `mode` there: "min", "max", or "auto".
        mode: how the batch grows, "accumulate" or "rebatch", as for `tfnn.callbacks.BatchSizeScheduler`.
        factor: of a growth, above 1; a size that is no whole number is rounded up.
        max_batch_size: examples of an update beyond which the batch does not grow; None: all training examples.

    Raises:
        ValueError: for an argument out of its range; when the run begins for a `max_batch_size` below its batch size or above
            the number of training examples.
        RuntimeError: under `model.fit` on other data than a `tfnn.data.growable`.

    Example:
        >>> growth = tfnn.callbacks.GrowBatchOnPlateau("val_loss", factor=2, patience=5, max_batch_size=512)
        >>> tfnn.fit(model, x, y, batch_size=32, epochs=90, validation_split=0.1, callbacks=[growth])
    """

    says = "direction"

    def __init__(
        self,
        monitor="val_loss",
        factor=2,
        patience=10,
        max_batch_size=None,
        verbose=0,
        direction="auto",
        min_delta=1e-4,
        cooldown=0,
        mode="accumulate",
    ):
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
