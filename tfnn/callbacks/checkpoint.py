"""Decides when a run is to be saved, and which of its states is the best."""

import os

from tfnn import controls
from tfnn.callbacks.monitor import check_direction, monitored, sign_of
from tfnn.checks import positive_integer


class Checkpoint(controls.Saving):
    """Makes `tfnn.fit` save the whole run, so that a killed run continues as if nothing had happened, to the last bit.

    Unlike Keras's `BackupAndRestore`, it keeps the order of examples and the state of random layers, metrics and callbacks,
    and it writes each checkpoint as a whole or not at all, with a checksum.

    The best epoch so far is also saved and kept, whatever `save_freq` and `max_to_keep` are.

    Args:
        directory: the directory of the checkpoints, which must hold nothing else. It is made if it is absent.
        save_freq: "epoch", or a number of updates.
        max_to_keep: how many of the latest checkpoints to keep; None keeps all.
        monitor: the entry in an epoch's logs by which the best epoch is chosen.
        mode: "min", "max", or "auto", with which the metric itself says which way is better, as in
            `keras.callbacks.ModelCheckpoint`.

    Raises:
        ValueError: for arguments out of range; in `on_train_begin` for a metric that does not say which way is better.
        RuntimeError: under `model.fit`, which cannot continue in the middle of an epoch.

    Example:
        >>> tfnn.fit(model, x, y, epochs=30, callbacks=[tfnn.callbacks.Checkpoint("run/checkpoints")])
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        save_freq: str | int = "epoch",
        max_to_keep: int | None = 3,
        monitor: str = "val_loss",
        mode: str = "auto",
    ) -> None:
        super().__init__()
        if not isinstance(directory, (str, os.PathLike)) or not os.fspath(directory):
            raise ValueError(f"directory={directory!r} must be a path")
        if save_freq != "epoch":
            save_freq = positive_integer("save_freq", save_freq, "'epoch' or a positive number of updates")
        if max_to_keep is not None:
            max_to_keep = positive_integer("max_to_keep", max_to_keep, "a positive number of checkpoints or None")
        check_direction("mode", mode)
        self.directory, self.save_freq, self.max_to_keep = directory, save_freq, max_to_keep
        self.monitor, self.mode = monitor, mode
        self.best = self.best_update = None

    def on_train_begin(self, logs=None):
        controls.needed_by(self)
        self.best = self.best_update = None
        self.warned = False
        self.sign = sign_of(self, "mode", self.mode)

    def due(self, update, epoch_end):
        return bool(epoch_end) if self.save_freq == "epoch" else update % self.save_freq == 0

    def updates_until_due(self, update):
        return None if self.save_freq == "epoch" else self.save_freq - update % self.save_freq

    def is_best(self, update, logs):
        value = monitored(self, logs, "keeps none as the best")
        if value is None:
            return False
        better = value == value if self.best is None else self.sign * value > self.sign * self.best  # NaN is never the best
        if better:
            self.best, self.best_update = value, update
        return better

    def get_state(self):
        return {"best": self.best, "best_update": self.best_update}

    def set_state(self, state):
        self.best, self.best_update = state["best"], state["best_update"]
