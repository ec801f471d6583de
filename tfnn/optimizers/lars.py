"""LARS, layer-wise adaptive rate scaling (You, Gitman & Ginsburg 2017, arXiv:1708.03888)."""

from typing import Any

import keras

from tfnn.optimizers.hyperparameter import Hyperparameter, Number, Rate
from tfnn.optimizers.layerwise import LayerwiseOptimizer, norm, trust_ratio


def lars(w, g, v, lr, mu, wd, trust, adapt):
    """Algorithm 1: λ = η ‖θ‖ / (‖g‖ + β ‖θ‖); v ← m v + γ λ (g + β θ); θ ← θ − v."""
    local = trust_ratio(norm(w), norm(g) + wd * norm(w), trust) if adapt else 1.0
    v = mu * v + lr * local * (g + wd * w)
    return w - v, v


@keras.saving.register_keras_serializable("tfnn")
class LARS(LayerwiseOptimizer):
    """SGD with momentum and a rate for each layer, for large batches.

    λ = η_trust ‖θ‖ / (‖g‖ + β ‖θ‖); v ← μ v + η λ (g + β θ); θ ← θ − v (You et al. 2017, arXiv:1708.03888, Algorithm 1),
    for each weight tensor, so that ‖Δθ‖ / ‖θ‖ is the same in all layers whatever the scale of the gradient.

    β is an L2 decay that enters the gradient, the momentum and the ratio, as in the paper; it is not decoupled. A weight
    of norm 0, or one with a gradient of 0, has λ = 1. The paper adapts every weight. Later practice excludes biases and the
    scales of normalisation from adaptation and decay: call `exclude_from_adaptation` and `exclude_from_weight_decay` with
    `var_names=["bias", "gamma", "beta"]`.

    Args:
        learning_rate: η, the paper's global rate γ: a float, a variable, a `LearningRateSchedule` or a callable.
        momentum: μ in [0, 1).
        weight_decay: β ≥ 0, or None for 0; the paper takes 0.0005.
        trust_coefficient: η_trust ≥ 0, how far a layer may move in one update, as a part of its norm.
        **kwargs: Keras's base arguments: `clipnorm`, `use_ema`, `gradient_accumulation_steps`, `name`, ...

    Raises:
        ValueError: for a negative `learning_rate`, `weight_decay` or `trust_coefficient`, or μ outside [0, 1).

    Example:
        >>> optimizer = tfnn.optimizers.LARS(tfnn.schedules.linear_scaling(0.1, 8192), momentum=0.9, weight_decay=5e-4)
        >>> optimizer.exclude_from_adaptation(var_names=["bias", "gamma", "beta"])
    """

    slots = ("momentum",)
    rule = staticmethod(lars)
    momentum, trust_coefficient = Hyperparameter(0, 1), Hyperparameter(0)

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: Number = 0.9,
        weight_decay: Number | None = None,
        trust_coefficient: Number = 0.001,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.momentum, self.trust_coefficient = momentum, trust_coefficient

    def letters(self, h, lr, t):
        return {"lr": lr, "mu": h.momentum, "trust": h.trust_coefficient}
