"""Schedules written in epochs, on a clock that does not bend when the batch grows."""

import keras
import tensorflow as tf

from tfnn import controls
from tfnn.schedules.wrapper import ScheduleWrapper


@keras.saving.register_keras_serializable("tfnn")
class InEpochs(ScheduleWrapper):
    """η = schedule(e), where e is the number of epochs gone by, with its fraction.

    Under `tfnn.fit` e is examples seen / N, which keeps its pace when a growing batch makes updates fewer.
    Under `model.fit` it is updates / `steps_per_epoch`.

    Args:
        schedule: a `LearningRateSchedule` whose steps are epochs.
        steps_per_epoch: updates of one epoch; needed only where `tfnn.fit` does not run the model.

    Raises:
        ValueError: when called outside `tfnn.fit` without `steps_per_epoch`.

    Example:
        >>> rate = tfnn.schedules.InEpochs(tfnn.schedules.Warmup(tfnn.schedules.Cosine(0.1, 30), 2))
    """

    def __init__(self, schedule, steps_per_epoch=None, name="InEpochs"):
        super().__init__(schedule, name)
        if steps_per_epoch is not None and not steps_per_epoch > 0:
            raise ValueError(f"steps_per_epoch={steps_per_epoch} must be positive")
        self.steps_per_epoch = steps_per_epoch

    def __call__(self, step):
        run = controls.current()
        if run is not None:
            return self.schedule(run.epochs)
        if self.steps_per_epoch is None:
            raise ValueError("InEpochs has no clock outside tfnn.fit: pass steps_per_epoch, the updates of one epoch")
        return self.schedule(tf.cast(step, tf.float64) / self.steps_per_epoch)

    def get_config(self):
        return {**super().get_config(), "steps_per_epoch": self.steps_per_epoch}
