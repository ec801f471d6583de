"""Grow the batch instead of decaying the rate (Smith et al. 2018, arXiv:1711.00489; lecture, section 4)."""

import collections
import dataclasses

import keras
import tensorflow as tf

from tfnn import controls
from tfnn.schedules.base import exact
from tfnn.schedules.in_epochs import InEpochs
from tfnn.schedules.ranges import PositiveInteger
from tfnn.schedules.wrapper import ScheduleWrapper

Growth = collections.namedtuple("Growth", "batch_size, learning_rate")


def grown(eta, eta_ref, b_0, b_max):
    """b = b_0 · η_ref / η, rounded and held in [b_0, b_max]."""
    return tf.clip_by_value(tf.round(b_0 * (eta_ref / eta)), b_0, b_max)


def decay_to_growth(schedule: keras.optimizers.schedules.LearningRateSchedule, batch_size: int, max_batch_size: int) -> Growth:
    """Turns a decay of the learning rate into a growth of the batch: the same η/b at all times, with fewer updates.

    SGD's noise scale is g ≈ ηN/b (Smith & Le 2017), so b may grow as η would fall: b(τ) = b_0 · η_ref / η(τ), rounded and
    at most `max_batch_size`. The rate is η(τ) · b(τ) / b_0; apart from rounding it is constant until b reaches that bound,
    and decays after it. η_ref is η(0), or the rate at the end of a first rise (`Warmup`, `OneCycle`), before which nothing
    grows. Where a schedule rises again, the batch shrinks, to b_0 at least. Smith et al. 2018, arXiv:1711.00489.

    Under `tfnn.fit` the batch changes only between epochs, whereas η also changes within them: there the rate is
    η(τ) · b / b_0 with the b in force.

    Args:
        schedule: η, a `LearningRateSchedule` whose steps τ are epochs; put `InEpochs` around the result, not around it.
        batch_size: b_0, the examples of one update at the start.
        max_batch_size: the bound of b, at most the number of training examples; Smith et al. advise about a tenth of it.

    Returns:
        A named tuple of two functions of τ, both serialisable: `batch_size`, which gives an int, and `learning_rate`, a
        `LearningRateSchedule`.

    Raises:
        TypeError: if `schedule` is not a `LearningRateSchedule`.
        ValueError: if η_ref is not positive, or a batch size not a positive integer, or `max_batch_size` below `batch_size`.

    Example:
        >>> growth = tfnn.schedules.decay_to_growth(tfnn.schedules.StepDecay(0.1, [10, 20], 0.5), 32, max_batch_size=128)
        >>> model.compile(tfnn.optimizers.SGD(tfnn.schedules.InEpochs(growth.learning_rate)), "sparse_categorical_crossentropy")
        >>> grow = tfnn.callbacks.BatchSizeScheduler(growth.batch_size)
        >>> tfnn.fit(model, x, y, batch_size=32, epochs=30, callbacks=[grow])
    """
    arguments = schedule, batch_size, max_batch_size
    return Growth(GrowingBatchSize(*arguments), GrowingBatchRate(*arguments))


@dataclasses.dataclass(eq=False)
class GrowingBatch(ScheduleWrapper):
    """The common part of batch size and rate: b(τ) and the check of arguments."""

    batch_size: PositiveInteger
    max_batch_size: PositiveInteger

    def __post_init__(self):
        super().__post_init__()
        if self.max_batch_size < self.batch_size:
            raise ValueError(f"max_batch_size={self.max_batch_size} must be at least batch_size={self.batch_size}")
        if isinstance(self.schedule, InEpochs):
            raise ValueError("schedule must be one of epochs, without InEpochs, which goes around the resulting learning_rate")
        self.begin = getattr(self.schedule, "rise", 0)
        with tf.init_scope():
            self.reference = float(self.inner(exact(self.begin)))
        if not self.reference > 0:
            raise ValueError(
                f"schedule must have a positive rate at {self.begin}, with which later ones compare, got {self.reference}"
            )

    def size(self, t):
        return grown(self.inner(tf.maximum(t, self.begin)), self.reference, self.batch_size, self.max_batch_size)


@keras.saving.register_keras_serializable("tfnn")
@dataclasses.dataclass(eq=False)
class GrowingBatchSize(GrowingBatch):
    """A schedule of the batch size, which returns an int."""

    name: str = "GrowingBatchSize"

    def __call__(self, step):
        return int(self.size(exact(step)))


@keras.saving.register_keras_serializable("tfnn")
@dataclasses.dataclass(eq=False)
class GrowingBatchRate(GrowingBatch):
    """The rate η(τ) · b / b_0, where b is the batch size in force, or b(τ) where no run is in progress."""

    name: str = "GrowingBatchRate"

    def rate(self, t):
        run = controls.current()
        b = self.size(t) if run is None else run.planned_batch_size
        return self.inner(t) * b / self.batch_size
