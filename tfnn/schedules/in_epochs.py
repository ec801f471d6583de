"""Schedules written in epochs, on a clock that keeps its pace when the batch grows."""

import dataclasses
import math

import keras

from tfnn import controls
from tfnn.schedules.ranges import Positive, check
from tfnn.schedules.wrapper import ScheduleWrapper


@keras.saving.register_keras_serializable("tfnn")
@dataclasses.dataclass(eq=False)
class InEpochs(ScheduleWrapper):
    """η = schedule(e), where e is the number of epochs that have passed, fractions included.

    Under `tfnn.fit`, e is examples seen / N, which keeps its pace when a growing batch makes updates fewer. Under
    `model.fit` it is updates / `steps_per_epoch`.

    Args:
        schedule: a `LearningRateSchedule` whose steps are epochs.
        steps_per_epoch: the updates of one epoch; needed only where `tfnn.fit` does not run the model.

    Raises:
        ValueError: when called outside `tfnn.fit` without `steps_per_epoch`.

    Example:
        >>> rate = tfnn.schedules.InEpochs(tfnn.schedules.Warmup(tfnn.schedules.Cosine(0.1, 30), 2))
    """

    steps_per_epoch: float | None = None
    name: str = "InEpochs"

    def __post_init__(self):
        super().__post_init__()
        if self.steps_per_epoch is not None:
            check("steps_per_epoch", self.steps_per_epoch, Positive)

    @property
    def end(self):
        return super().end * (self.steps_per_epoch or math.inf)

    def rate(self, t):
        run = controls.current()
        if run is not None:
            return self.inner(run.epochs)
        if self.steps_per_epoch is None:
            raise ValueError("InEpochs has no clock outside tfnn.fit: pass steps_per_epoch, the updates of one epoch")
        return self.inner(t / self.steps_per_epoch)
