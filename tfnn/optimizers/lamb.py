"""LAMB, layer-wise adaptive moments for batch training (You et al. 2019, arXiv:1904.00962)."""

from typing import Any

import keras

from tfnn.optimizers.hyperparameter import Epsilon, Hyperparameter, Number, Rate
from tfnn.optimizers.layerwise import LayerwiseOptimizer, norm, trust_ratio


def lamb(w, g, m, v, lr, b1, b2, c1, c2, eps, wd, adapt):
    """Algorithm 2, with c1 = 1 − β₁^t and c2 = 1 − β₂^t: Adam's step r plus the decay, scaled to ‖θ‖."""
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    step = (m / c1) / ((v / c2) ** 0.5 + eps) + wd * w
    local = trust_ratio(norm(w), norm(step)) if adapt else 1.0
    return w - lr * local * step, m, v


@keras.saving.register_keras_serializable("tfnn")
class LAMB(LayerwiseOptimizer):
    """Adam with a rate for each layer, for large batches; arguments and defaults are those of `keras.optimizers.Lamb`.

    r = m̂ / (√v̂ + ε) with Adam's averages; θ ← θ − η · ‖θ‖ / ‖r + λ θ‖ · (r + λ θ) (You et al. 2019, arXiv:1904.00962,
    Algorithm 2, φ the identity), for each weight tensor. The decay λ stands inside the trust ratio; Keras's `Lamb`
    applies it outside, before the update. A weight of norm 0 has the ratio 1.

    Args:
        learning_rate: η, a float, a variable, a `LearningRateSchedule` or a callable without arguments.
        beta_1, beta_2: β₁, β₂ in [0, 1), the decay of the two averages per update.
        epsilon: ε ≥ 0, outside the root and after the bias correction.
        weight_decay: λ ≥ 0, or None for 0; the paper takes 0.01.
        **kwargs: Keras's base arguments: `clipnorm`, `use_ema`, `gradient_accumulation_steps`, `name`, ...

    Raises:
        ValueError: for a negative `learning_rate`, `epsilon` or `weight_decay`, or a β outside [0, 1).

    Example:
        >>> optimizer = tfnn.optimizers.LAMB(2e-3, weight_decay=0.01)
        >>> optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    """

    slots = ("momentum", "velocity")
    rule = staticmethod(lamb)
    beta_1, beta_2, epsilon = Hyperparameter(0, 1), Hyperparameter(0, 1), Epsilon(0)

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: Number = 0.9,
        beta_2: Number = 0.999,
        epsilon: Number = 1e-7,
        weight_decay: Number | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def letters(self, h, lr, t):
        c1, c2 = 1 - h.beta_1**t, 1 - h.beta_2**t
        return {"lr": lr, "b1": h.beta_1, "b2": h.beta_2, "c1": c1, "c2": c2, "eps": h.epsilon}
