"""Weights that preserve the variance of the gradient on the backward pass (Glorot & Bengio 2010; lecture, section 2)."""

import keras

from tfnn.initializers.variance_scaling import Rule


@keras.saving.register_keras_serializable("tfnn")
class FanOutNormal(Rule):
    """Truncated normal, Var(w) = 1/n_out: the gradient keeps its variance from layer to layer.

    Glorot & Bengio 2010, AISTATS, eq. 11; lecture, section 2. Keras has no class for it.

    Args:
        seed, input_axes, output_axes, kernel, groups: as in `VarianceScaling`.

    Example:
        >>> keras.layers.Dense(128, "tanh", kernel_initializer=tfnn.initializers.FanOutNormal(seed=1))
    """

    rule = 1.0, "fan_out", "truncated_normal"
