"""Exponential decay: the rate falls by a factor in each period (lecture, section 4)."""

import dataclasses

import keras

from tfnn.schedules.base import Schedule, whole
from tfnn.schedules.ranges import NotNegative, Positive


def exponential(p, eta, gamma):
    return eta * gamma**p


@keras.saving.register_keras_serializable("tfnn")
@dataclasses.dataclass(eq=False)
class ExponentialDecay(Schedule):
    """η(t) = η_0 γ^p with p = t / T, or ⌊t / T⌋ as a staircase.

    Lecture, section 4; arguments and defaults are those of `keras.optimizers.schedules.ExponentialDecay`.

    Args:
        initial_learning_rate: η_0.
        decay_steps: T, in the unit of the clock: updates, or epochs inside `InEpochs`.
        decay_rate: γ, the factor of each period.
        staircase: whether the rate falls only at the end of each period; `StepDecay` is a shorter way to write that.

    Raises:
        ValueError: if `decay_steps` or `decay_rate` is not positive or `initial_learning_rate` is negative.

    Example:
        >>> optimizer = tfnn.optimizers.SGD(tfnn.schedules.ExponentialDecay(0.1, decay_steps=1000, decay_rate=0.96))
    """

    initial_learning_rate: NotNegative
    decay_steps: Positive
    decay_rate: Positive
    staircase: bool = False
    name: str = "ExponentialDecay"

    def rate(self, t):
        p = t / self.decay_steps
        return exponential(whole(p) if self.staircase else p, self.initial_learning_rate, self.decay_rate)
