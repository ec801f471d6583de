"""Lower the learning rate when a metric has stopped improving."""

import numpy as np

from tfnn.callbacks.plateau import OnPlateau
from tfnn.callbacks.steered_rate import log_rates, make_settable, named, rate_of, rescale, tell
from tfnn.checks import number


class ReduceLROnPlateau(OnPlateau):
    """η ← max(factor · η, min_lr) when `monitor` has not improved for `patience` epochs.

    Arguments, defaults and rule are those of `keras.callbacks.ReduceLROnPlateau`, with three differences:

    - It also works with a `LearningRateSchedule`, whose later rates are all lowered by the same factor. `min_lr` then bounds
      a reduction; the schedule itself may go below it.
    - Its state is part of a checkpoint of `tfnn.fit`, so that a resumed run reduces the rate when it would have anyway.
    - A `monitor` that is NaN counts as no improvement.

    It works in `tfnn.fit` and `model.fit`. The reduced rate stays after the run. It is in the logs as `learning_rate`.

    Args:
        monitor: the entry in an epoch's logs that is watched. If it is missing, a warning says so.
        factor: the factor of a reduction, in (0, 1).
        patience: the number of epochs without improvement after which the rate is reduced.
        verbose: 1 prints each reduction.
        mode: "min", "max", or "auto", with which the metric itself says which way is better.
        min_delta: by how much a better value must differ from the best, at least 0.
        cooldown: the number of epochs after a reduction in which waiting does not begin.
        min_lr: the rate below which no reduction goes.

    Raises:
        ValueError: for an argument out of its range; at the end of an epoch for a metric that does not say which way is
            better.

    Example:
        >>> tfnn.fit(model, x, y, epochs=90, validation_split=0.1, callbacks=[tfnn.callbacks.ReduceLROnPlateau(patience=5)])
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        if not 0 < factor < 1:
            raise ValueError(f"factor={factor} must be in (0, 1)")
        super().__init__(monitor, factor, patience, verbose, mode, min_delta, cooldown)
        self.min_lr = float(number("min_lr", min_lr))

    def set_model(self, model):
        super().set_model(model)
        make_settable(model)

    def on_epoch_end(self, epoch, logs=None):
        log_rates(self.model, logs)
        super().on_epoch_end(epoch, logs)

    def act(self, epoch):
        reduced = [self.reduce(optimizer, name, epoch) for optimizer, name in named(self.model)]
        return any(reduced)

    def reduce(self, optimizer, name, epoch):
        before = rate_of(optimizer)
        if before <= np.float32(self.min_lr):  # as the optimizer rounds it
            return False
        after = max(before * self.factor, self.min_lr)
        rescale(optimizer, after)
        if self.verbose:
            tell(self, epoch, "reducing", name, after)
        return True
