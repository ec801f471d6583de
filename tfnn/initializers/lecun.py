"""Weights that preserve the variance of the signal on the forward pass (LeCun et al. 1998, "Efficient BackProp", eq. 16)."""

import keras

from tfnn.initializers.variance_scaling import Rule


@keras.saving.register_keras_serializable("tfnn")
class LecunNormal(Rule):
    """Truncated normal, Var(w) = 1/n_in: where units are linear the signal keeps its variance from layer to layer.

    LeCun, Bottou, Orr & Müller 1998, eq. 16; lecture, section 2.

    Args:
        seed, input_axes, output_axes, kernel, groups: as in `VarianceScaling`.

    Example:
        >>> keras.layers.Dense(128, "selu", kernel_initializer=tfnn.initializers.LecunNormal(seed=1))
    """

    rule = 1.0, "fan_in", "truncated_normal"


@keras.saving.register_keras_serializable("tfnn")
class LecunUniform(Rule):
    """Uniform within ±√(3/n_in), so that Var(w) = 1/n_in.

    LeCun, Bottou, Orr & Müller 1998, eq. 16; lecture, section 2.

    Args:
        seed, input_axes, output_axes, kernel, groups: as in `VarianceScaling`.

    Example:
        >>> keras.layers.Dense(128, "selu", kernel_initializer=tfnn.initializers.LecunUniform(seed=1))
    """

    rule = 1.0, "fan_in", "uniform"
