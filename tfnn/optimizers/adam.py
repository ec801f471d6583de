"""Adam (Kingma & Ba 2015, arXiv:1412.6980; lecture, section 5) and AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101)."""

from typing import Any

import keras
import tensorflow as tf

from tfnn.optimizers.base import Optimizer
from tfnn.optimizers.hyperparameter import Epsilon, Hyperparameter, Number, Rate


def adam(w, g, m, v, lr, b1, b2, c1, c2, eps):
    """Algorithm 1, with c1 = 1 − β₁^t and c2 = 1 − β₂^t."""
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    m_hat, v_hat = m / c1, v / c2
    return w - lr * m_hat / (v_hat**0.5 + eps), m, v


def adam_of_slide(w, g, m, v, lr, b1, b2, c1, c2, eps):
    """The rule of the lecture's slide: δ stands inside the root."""
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    return w - lr * (m / c1) / (v / c2 + eps) ** 0.5, m, v


def amsgrad(w, g, m, v, v_max, lr, b1, b2, c1, c2, eps):
    """Reddi et al. 2018, arXiv:1904.09237, Algorithm 2: takes the largest v so far; bias is corrected as in Adam and Keras."""
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    v_max = tf.maximum(v_max, v)
    return w - lr * (m / c1) / ((v_max / c2) ** 0.5 + eps), m, v, v_max


@keras.saving.register_keras_serializable("tfnn")
class Adam(Optimizer):
    """Adam, with the arguments and defaults of `keras.optimizers.Adam`.

    m ← β₁ m + (1 − β₁) g; v ← β₂ v + (1 − β₂) g²; θ ← θ − η · m/(1 − β₁^t) / (√(v/(1 − β₂^t)) + ε).

    This is Algorithm 1 of Kingma & Ba 2015 (arXiv:1412.6980): ε stands outside the root and after the bias correction.
    Keras and TensorFlow's kernel take the ε̂ of the paper's section 2, which is ε · √(1 − β₂^t) here: at t = 1 Keras's ε
    is 32 times as large. The update runs in the kernel `ResourceApplyAdam`, which is given that ε̂ at each t.

    Args:
        learning_rate: η, a float, a variable, a `LearningRateSchedule` or a callable without arguments.
        beta_1, beta_2: β₁, β₂ in [0, 1), the decay of the two averages per update.
        epsilon: ε ≥ 0.
        amsgrad: whether v is replaced by its largest value so far (Reddi et al. 2018). There is no kernel for it.
        weight_decay: decoupled decay: θ is reduced by η · weight_decay · θ before the update.
        epsilon_in_root: whether ε stands inside the root, √(v̂ + ε), as on the lecture's slide. There is no kernel for it.
        **kwargs: Keras's base arguments: `clipnorm`, `use_ema`, `gradient_accumulation_steps`, `name`, ...

    Raises:
        ValueError: for a negative `learning_rate`, `epsilon` or `weight_decay`, or a β outside [0, 1).

    Example:
        >>> model.compile(tfnn.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    """

    beta_1, beta_2, epsilon = Hyperparameter(0, 1), Hyperparameter(0, 1), Epsilon(0)

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: Number = 0.9,
        beta_2: Number = 0.999,
        epsilon: Number = 1e-7,
        amsgrad: bool = False,
        weight_decay: Number | None = None,
        *,
        epsilon_in_root: bool = False,
        **kwargs: Any,
    ) -> None:
        if amsgrad and epsilon_in_root:
            raise ValueError("amsgrad=True and epsilon_in_root=True cannot go together: choose one")
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.amsgrad, self.epsilon_in_root = amsgrad, epsilon_in_root

    @property
    def slots(self):
        return ("momentum", "velocity", "velocity_hat") if self.amsgrad else ("momentum", "velocity")

    @property
    def rule(self):
        return amsgrad if self.amsgrad else adam_of_slide if self.epsilon_in_root else adam

    @property
    def fused(self):
        return self.rule is adam

    def letters(self, h, lr, t):
        return {"lr": lr, "b1": h.beta_1, "b2": h.beta_2, "c1": 1 - h.beta_1**t, "c2": 1 - h.beta_2**t, "eps": h.epsilon}

    def kernel(self, w, g, m, v, lr, b1, b2, c1, c2, eps):
        """With bias corrections of 0 the kernel computes θ ← θ − lr · m / (√v + epsilon)."""
        none = tf.zeros([], g.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=w.handle,
            m=m.handle,
            v=v.handle,
            beta1_power=none,
            beta2_power=none,
            lr=lr * c2**0.5 / c1,
            beta1=b1,
            beta2=b2,
            epsilon=eps * c2**0.5,
            grad=g,
        )

    def get_config(self):
        return {**super().get_config(), "amsgrad": self.amsgrad, "epsilon_in_root": self.epsilon_in_root}


@keras.saving.register_keras_serializable("tfnn")
class AdamW(Adam):
    """Adam with decoupled decay, with the arguments and defaults of `keras.optimizers.AdamW`.

    θ ← θ − η λ θ, then the update of `Adam` (Loshchilov & Hutter 2019, arXiv:1711.05101, Algorithm 2, with its schedule
    multiplier in η). The decay does not pass through the averages and is not divided by √v. So it is not the L2 term of
    the loss (lecture, eq. 1), for which see `tfnn.models.add_l2`.

    Args:
        weight_decay: λ ≥ 0, per unit of η.
        others: as in `Adam`.

    Raises:
        ValueError: as for `Adam`, and for `weight_decay=None`.

    Example:
        >>> optimizer = tfnn.optimizers.AdamW(1e-3, weight_decay=0.01)
        >>> optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        weight_decay: Number = 0.004,
        beta_1: Number = 0.9,
        beta_2: Number = 0.999,
        epsilon: Number = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        if weight_decay is None:
            raise ValueError("weight_decay=None must be in [0, ∞): AdamW without decay is Adam")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, **kwargs)
