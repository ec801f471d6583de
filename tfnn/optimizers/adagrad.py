"""AdaGrad (Duchi, Hazan & Singer 2011, JMLR 12; lecture, section 5)."""

from typing import Any

import keras
import tensorflow as tf

from tfnn.optimizers.base import Optimizer
from tfnn.optimizers.hyperparameter import Epsilon, Number, Rate, checked


def adagrad(w, g, r, lr, eps):
    """r ← r + g²; θ ← θ − η g / (√r + δ)."""
    r = r + g**2
    return w - lr * g / (r**0.5 + eps), r


@keras.saving.register_keras_serializable("tfnn")
class Adagrad(Optimizer):
    """AdaGrad, with the arguments and defaults of `keras.optimizers.Adagrad`.

    r ← r + g²; θ ← θ − η g / (√r + ε). The rate η/√r of a weight only falls. It is large in flat directions, small in steep
    ones, and in the end too small to learn at all.

    The slide has no ε; `epsilon=0, initial_accumulator_value=0` is the slide's rule (with 0/0 = 0). ε stands outside the
    root, as in Goodfellow et al. 2016, Algorithm 8.4. There it keeps the step of a tiny first gradient finite without
    changing later ones; Keras has it inside, √(r + ε). The update runs in the kernel `ResourceApplyAdagradV2`.

    Args:
        learning_rate: η, a float, a variable, a `LearningRateSchedule` or a callable without arguments.
        initial_accumulator_value: r at the start, at least 0.
        epsilon: ε ≥ 0.
        weight_decay: decoupled decay: θ is reduced by η · weight_decay · θ before the update.
        **kwargs: Keras's base arguments: `clipnorm`, `use_ema`, `gradient_accumulation_steps`, `name`, ...

    Raises:
        ValueError: for a negative `learning_rate`, `initial_accumulator_value`, `epsilon` or `weight_decay`.

    Example:
        >>> model.compile(tfnn.optimizers.Adagrad(0.01), "sparse_categorical_crossentropy")
    """

    slots = ("accumulator",)
    rule = staticmethod(adagrad)
    epsilon = Epsilon(0)

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: Number = 1e-7,
        weight_decay: Number | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.initial_accumulator_value = checked("initial_accumulator_value", initial_accumulator_value)
        self.epsilon = epsilon

    def slot_initializer(self, slot):
        return keras.initializers.Constant(self.initial_accumulator_value)

    def letters(self, h, lr, t):
        return {"lr": lr, "eps": h.epsilon}

    def kernel(self, w, g, r, lr, eps):
        tf.raw_ops.ResourceApplyAdagradV2(var=w.handle, accum=r.handle, lr=lr, epsilon=eps, grad=g)

    def get_config(self):
        return {**super().get_config(), "initial_accumulator_value": self.initial_accumulator_value}
