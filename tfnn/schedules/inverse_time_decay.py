"""Decay as 1/t, as in stochastic approximation (Robbins & Monro 1951)."""

import dataclasses

import keras

from tfnn.schedules.base import Schedule, whole
from tfnn.schedules.ranges import NotNegative, Positive


def inverse_time(p, eta, kappa):
    return eta / (1 + kappa * p)


@keras.saving.register_keras_serializable("tfnn")
@dataclasses.dataclass(eq=False)
class InverseTimeDecay(Schedule):
    """η(t) = η_0 / (1 + κ p) with p = t / T, or ⌊t / T⌋ as a staircase.

    Robbins & Monro 1951, Annals of Mathematical Statistics 22, 400-407: SGD converges where Σ η = ∞ and Σ η² < ∞, as with
    1/t. Arguments and defaults are those of `keras.optimizers.schedules.InverseTimeDecay`.

    Args:
        initial_learning_rate: η_0.
        decay_steps: T, in the unit of the clock: updates, or epochs inside `InEpochs`.
        decay_rate: κ; after T / κ the rate has halved.
        staircase: whether the rate falls at the end of each period only.

    Raises:
        ValueError: if `decay_steps` is not positive, or `decay_rate` or `initial_learning_rate` is negative.

    Example:
        >>> optimizer = tfnn.optimizers.SGD(tfnn.schedules.InverseTimeDecay(0.1, decay_steps=1000, decay_rate=0.5))
    """

    initial_learning_rate: NotNegative
    decay_steps: Positive
    decay_rate: NotNegative
    staircase: bool = False
    name: str = "InverseTimeDecay"

    def rate(self, t):
        p = t / self.decay_steps
        return inverse_time(whole(p) if self.staircase else p, self.initial_learning_rate, self.decay_rate)
