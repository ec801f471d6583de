"""Gradient descent: plain, with momentum, with Nesterov's momentum (lecture, eq. 1, 4, 5)."""

from typing import Any

import keras
import tensorflow as tf

from tfnn.optimizers.base import Optimizer
from tfnn.optimizers.hyperparameter import VARIABLES, Hyperparameter, Number, Rate, checked


def descent(w, g, lr):
    """Eq. 1: θ ← θ − η g."""
    return (w - lr * g,)


def momentum(w, g, v, lr, mu):
    """Eq. 4: v ← μ v − η g; θ ← θ + v."""
    v = mu * v - lr * g
    return w + v, v


def nesterov(w, g, v, lr, mu):
    """Eq. 5 for the look-ahead point w = θ + μ v, at which g is taken: v ← μ v − η g; w ← w + μ v − η g."""
    v = mu * v - lr * g
    return w + mu * v - lr * g, v


class Momentum(Hyperparameter):
    """μ in [0, 1). If it began at 0 it cannot be raised, because no velocity is kept then."""

    def __set__(self, optimizer, value):
        if self.name in optimizer.hyperparameters and not optimizer.slots and checked(self.name, value, self.low, self.high):
            raise ValueError(f"momentum={value} needs a velocity, and this optimizer began without: make one with momentum")
        super().__set__(optimizer, value)


@keras.saving.register_keras_serializable("tfnn")
class SGD(Optimizer):
    """Stochastic gradient descent with momentum, with the arguments and defaults of `keras.optimizers.SGD`.

    - `momentum=0`: θ ← θ − η g (lecture, eq. 1).
    - `momentum=μ`: v ← μ v − η g; θ ← θ + v (eq. 4; Polyak 1964).
    - `nesterov=True`: the gradient is taken at the look-ahead point θ + μ v (eq. 5; Sutskever et al. 2013). As in Keras, the
      variables hold that point, so that a plain forward pass evaluates there: w ← w + μ v − η g. The θ of eq. 5 is
      w − μ v (Bengio et al. 2012, arXiv:1212.0901, section 3; for a constant μ).

    `momentum` may be set during a run and takes effect at the next update, without a new trace. The update runs in one
    fused kernel, `ResourceApplyKerasMomentum`.

    Args:
        learning_rate: η, a float, a `LearningRateSchedule` or a callable without arguments.
        momentum: μ in [0, 1). If it begins at 0, no velocity is kept, and so it cannot be raised later.
        nesterov: whether to use eq. 5.
        weight_decay: decoupled decay: θ is reduced by η · weight_decay · θ before the update. For the λ of the loss (eq. 1)
            use `tfnn.models.add_l2`.
        **kwargs: Keras's base arguments: `clipnorm`, `use_ema`, `gradient_accumulation_steps`, `name`, ...

    Raises:
        ValueError: for a negative `learning_rate` or a `momentum` outside [0, 1).

    Example:
        >>> model.compile(tfnn.optimizers.SGD(0.1, momentum=0.9, nesterov=True), "sparse_categorical_crossentropy")
    """

    momentum = Momentum(0, 1)

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: Number = 0.0,
        nesterov: bool = False,
        weight_decay: Number | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.momentum, self.nesterov = momentum, nesterov
        self.slots = ("momentum",) if isinstance(momentum, VARIABLES) or self.momentum else ()

    def letters(self, h, lr, t):
        return {"lr": lr, "mu": h.momentum} if self.slots else {"lr": lr}

    @property
    def rule(self):
        return descent if not self.slots else nesterov if self.nesterov else momentum

    def kernel(self, w, g, v=None, lr=None, mu=None):
        if v is None:
            tf.raw_ops.ResourceApplyGradientDescent(var=w.handle, alpha=lr, delta=g)
        else:
            tf.raw_ops.ResourceApplyKerasMomentum(
                var=w.handle, accum=v.handle, lr=lr, grad=g, momentum=mu, use_nesterov=self.nesterov
            )

    def get_config(self):
        return {**super().get_config(), "nesterov": self.nesterov}
