"""RMSProp (Tieleman & Hinton 2012, Coursera lecture 6e; lecture, section 5), centred (Graves 2013) and with momentum."""

from typing import Any

import keras
import tensorflow as tf

from tfnn.optimizers.base import Optimizer
from tfnn.optimizers.hyperparameter import Epsilon, Hyperparameter, Number, Rate


def rmsprop(w, g, r, v, lr, rho, mu, eps):
    """r ← ρ r + (1 − ρ) g²; v ← μ v + η g / √(r + δ); θ ← θ − v."""
    r = rho * r + (1 - rho) * g**2
    v = mu * v + lr * g / (r + eps) ** 0.5
    return w - v, r, v


def centred(w, g, r, v, mean, lr, rho, mu, eps):
    """Graves 2013, arXiv:1308.0850, eq. 38 to 41: the second moment about the gradient's running mean."""
    r = rho * r + (1 - rho) * g**2
    mean = rho * mean + (1 - rho) * g
    v = mu * v + lr * g / (r - mean**2 + eps) ** 0.5
    return w - v, r, v, mean


@keras.saving.register_keras_serializable("tfnn")
class RMSprop(Optimizer):
    """RMSProp, with the arguments and defaults of `keras.optimizers.RMSprop`.

    r ← ρ r + (1 − ρ) g²; v ← μ v + η g / √(r + ε); θ ← θ − v. It forgets old gradients, so that the rate of a weight recovers
    from a steep region, where AdaGrad's would stay low.

    The slide has neither ε nor μ; `epsilon=0` is its rule (with 0/0 = 0). ε stands inside the root as in Goodfellow et al.
    2016, Algorithm 8.5, in Graves 2013 and in Keras. The update runs in the kernels `ResourceApplyRMSProp` and
    `ResourceApplyCenteredRMSProp`, which keep v also for μ = 0.

    Args:
        learning_rate: η, a float, a variable, a `LearningRateSchedule` or a callable without arguments.
        rho: ρ in [0, 1), the decay of the average of g² per update.
        momentum: μ in [0, 1).
        epsilon: ε ≥ 0.
        centered: whether r is taken about the running mean of the gradients, and so is a variance. In practice this needs
            ε > 0.
        weight_decay: decoupled decay: θ is reduced by η · weight_decay · θ before the update.
        **kwargs: Keras's base arguments: `clipnorm`, `use_ema`, `gradient_accumulation_steps`, `name`, ...

    Raises:
        ValueError: for a negative `learning_rate`, `epsilon` or `weight_decay`, or ρ or μ outside [0, 1).

    Example:
        >>> model.compile(tfnn.optimizers.RMSprop(1e-3, momentum=0.9), "sparse_categorical_crossentropy")
    """

    rho, momentum, epsilon = Hyperparameter(0, 1), Hyperparameter(0, 1), Epsilon(0, floor=1e-36)

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: Number = 0.9,
        momentum: Number = 0.0,
        epsilon: Number = 1e-7,
        centered: bool = False,
        weight_decay: Number | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered

    @property
    def slots(self):
        return ("velocity", "momentum", "average_gradient") if self.centered else ("velocity", "momentum")

    @property
    def rule(self):
        return centred if self.centered else rmsprop

    def letters(self, h, lr, t):
        return {"lr": lr, "rho": h.rho, "mu": h.momentum, "eps": h.epsilon}

    def kernel(self, w, g, r, v, mean=None, **letters):
        names = {"lr": letters["lr"], "rho": letters["rho"], "momentum": letters["mu"], "epsilon": letters["eps"]}
        if self.centered:
            tf.raw_ops.ResourceApplyCenteredRMSProp(var=w.handle, mg=mean.handle, ms=r.handle, mom=v.handle, grad=g, **names)
        else:
            tf.raw_ops.ResourceApplyRMSProp(var=w.handle, ms=r.handle, mom=v.handle, grad=g, **names)

    def get_config(self):
        return {**super().get_config(), "centered": self.centered}
