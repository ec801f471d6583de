"""Between 1/n_in, for the forward pass, and 1/n_out, for the backward pass (Glorot & Bengio 2010; lecture, eq. 2 and 3)."""

import keras

from tfnn.initializers.variance_scaling import Rule


@keras.saving.register_keras_serializable("tfnn")
class GlorotNormal(Rule):
    """Xavier: truncated normal, Var(w) = 2/(n_in + n_out).

    Glorot & Bengio 2010, eq. 12; lecture, eq. 2.

    Args:
        seed, input_axes, output_axes, kernel, groups: as in `VarianceScaling`.

    Example:
        >>> keras.layers.Dense(128, "tanh", kernel_initializer=tfnn.initializers.GlorotNormal(seed=1))
    """

    rule = 1.0, "fan_avg", "truncated_normal"


@keras.saving.register_keras_serializable("tfnn")
class GlorotUniform(Rule):
    """Xavier: uniform within ±√(6/(n_in + n_out)), so that Var(w) = 2/(n_in + n_out).

    Glorot & Bengio 2010, eq. 16; lecture, eq. 2.

    Args:
        seed, input_axes, output_axes, kernel, groups: as in `VarianceScaling`.

    Example:
        >>> keras.layers.Dense(128, "tanh", kernel_initializer=tfnn.initializers.GlorotUniform(seed=1))
    """

    rule = 1.0, "fan_avg", "uniform"


@keras.saving.register_keras_serializable("tfnn")
class GlorotReluNormal(Rule):
    """The lecture's rule for ReLU: truncated normal, Var(w) = 4/(n_in + n_out).

    A ReLU discards half of its input, so the weights get twice Xavier's variance (lecture, eq. 3). Keras has no class for
    it. He et al. 2015 take 2/n_in instead, which is the same where n_in = n_out.

    Args:
        seed, input_axes, output_axes, kernel, groups: as in `VarianceScaling`.

    Example:
        >>> keras.layers.Dense(128, "relu", kernel_initializer=tfnn.initializers.GlorotReluNormal(seed=1))
    """

    rule = 2.0, "fan_avg", "truncated_normal"
