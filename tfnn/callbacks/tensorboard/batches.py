"""Reads values of single batches under `model.fit`, whose graph holds no probe."""

import os

import tensorflow as tf

from tfnn.callbacks.tensorboard.updates import sums_of
from tfnn.means import loss_of, means_of


class Batches:
    """Reads loss and means of each n-th batch, and profiles a window of batches.

    With steps_per_execution=k a value is the mean over the k batches that include the n-th.

    Args:
        every: n, or None for no batch.
        window: (first, one past the last) batch to profile, counted from 0 in this session, or None.
        directory: the directory of the profile.
    """

    def __init__(self, model, every, window, directory):
        self.model, self.every, self.window, self.directory = model, every, window, directory
        self.count = model.steps_per_execution
        self.means = {"loss": loss_of(model)} if loss_of(model) else {}
        self.before, self.profiling, self.batch_size, self.seen = None, False, None, 0

    @property
    def idle(self):
        return not self.every and not self.window

    def begin(self, step):
        """Called before the batches from number `step` on."""
        if self.window and not self.profiling and self.window[0] < self.seen + self.count and self.seen < self.window[1]:
            os.makedirs(self.directory, exist_ok=True)
            tf.profiler.experimental.start(self.directory)
            self.profiling = True
        if self.every and (step + self.count) // self.every > step // self.every:
            self.before = sums_of(self.all_means())

    def end(self, first):
        """{name: value} if the batch was due, or else {}; `first` says that it was the first of the epoch."""
        self.seen += self.count
        if self.profiling and self.seen >= self.window[1]:
            self.close()
        if first and self.count == 1 and self.means:
            self.batch_size = int(self.means["loss"].count)
        if self.before is None:
            return {}
        added = (sums_of(self.all_means()) - (0.0 if first else self.before)).numpy()  # some are made in the first batch
        self.before = None
        return {name: float(total / count) for name, (total, count) in zip(self.all_means(), added) if count}

    def all_means(self):
        return self.means | means_of(self.model)

    def close(self):
        if self.profiling:
            tf.profiler.experimental.stop()
            self.profiling, self.window = False, None
