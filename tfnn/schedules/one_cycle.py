"""One cycle up and down, for large rates (Smith & Topin 2017, Super-convergence, arXiv:1708.07120)."""

import dataclasses
import itertools

import keras
import tensorflow as tf

from tfnn.schedules.base import Schedule
from tfnn.schedules.cosine import cosine
from tfnn.schedules.polynomial_decay import polynomial
from tfnn.schedules.ranges import AtLeastOne, NotNegative, Positive

ANNEAL = {"cos": cosine, "linear": polynomial}


def one_cycle(t, knots, anneal):
    """Goes from each (time, rate) of `knots` to the next by `anneal`, then stays at the last rate."""
    *phases, rate = [anneal(t - begin, end - begin, eta, eta_end) for (begin, eta), (end, eta_end) in itertools.pairwise(knots)]
    for phase, (end, _) in reversed(list(zip(phases, knots[1:]))):
        rate = tf.where(t < end, phase, rate)
    return rate


@keras.saving.register_keras_serializable("tfnn")
@dataclasses.dataclass(eq=False)
class OneCycle(Schedule):
    """Rises from η_0 = η_max / div_factor to η_max in pct_start · T, then falls to η_end = η_0 / final_div_factor at T.

    Smith & Topin 2017, arXiv:1708.07120. The paper's policy is linear and has three phases: up, down to η_0 in the same
    time, then far below, as with `anneal_strategy="linear", three_phase=True`. The defaults are those of PyTorch's
    `OneCycleLR`, which follows fastai: two phases, half a cosine each. PyTorch reaches η_end at T − 1, the last update; here
    it is T, as for all schedules, so that T may be in epochs. They also cycle the momentum, which stays as it is here.

    Args:
        max_learning_rate: η_max.
        total_steps: T, in the unit of the clock: updates, or epochs inside `InEpochs`.
        pct_start: the fraction of T that the rise takes, in (0, 1), or with three phases in (0, ½).
        anneal_strategy: "cos" or "linear".
        div_factor: η_max / η_0.
        final_div_factor: η_0 / η_end.
        three_phase: whether the rate falls back to η_0 before it goes to η_end.

    Raises:
        ValueError: for an argument out of its range.

    Example:
        >>> optimizer = tfnn.optimizers.SGD(tfnn.schedules.InEpochs(tfnn.schedules.OneCycle(0.5, 30)), momentum=0.9)
    """

    max_learning_rate: NotNegative
    total_steps: Positive
    pct_start: float = 0.3
    anneal_strategy: str = "cos"
    div_factor: AtLeastOne = 25.0
    final_div_factor: Positive = 1e4
    three_phase: bool = False
    name: str = "OneCycle"

    def __post_init__(self):
        super().__post_init__()
        most = 0.5 if self.three_phase else 1
        if not 0 < self.pct_start < most:
            raise ValueError(f"pct_start={self.pct_start} must be in (0, {most}) with three_phase={self.three_phase}")
        if self.anneal_strategy not in ANNEAL:
            raise ValueError(f"anneal_strategy={self.anneal_strategy!r} must be one of {', '.join(ANNEAL)}")

    @property
    def end(self):
        return self.total_steps

    @property
    def rise(self):
        return self.pct_start * self.total_steps

    def rate(self, t):
        eta = self.max_learning_rate / self.div_factor
        fall = [(2 * self.rise, eta)] if self.three_phase else []
        knots = [(0, eta), (self.rise, self.max_learning_rate), *fall, (self.total_steps, eta / self.final_div_factor)]
        return one_cycle(t, knots, ANNEAL[self.anneal_strategy])
