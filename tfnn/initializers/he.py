"""Weights of layers that are followed by a ReLU (He et al. 2015, arXiv:1502.01852, eq. 10)."""

import keras

from tfnn.initializers.variance_scaling import Rule


@keras.saving.register_keras_serializable("tfnn")
class HeNormal(Rule):
    """Truncated normal, Var(w) = 2/n_in: through ReLUs the signal keeps its scale from layer to layer.

    He et al. 2015, arXiv:1502.01852, eq. 10. They draw from a plain normal distribution; here, as in Keras, it is truncated
    at two standard deviations and widened so that its variance is 2/n_in.

    Args:
        seed, input_axes, output_axes, kernel, groups: as in `VarianceScaling`.

    Example:
        >>> keras.layers.Dense(128, "relu", kernel_initializer=tfnn.initializers.HeNormal(seed=1))
    """

    rule = 2.0, "fan_in", "truncated_normal"


@keras.saving.register_keras_serializable("tfnn")
class HeUniform(Rule):
    """Uniform within ±√(6/n_in), so that Var(w) = 2/n_in (He et al. 2015, arXiv:1502.01852, eq. 10).

    Args:
        seed, input_axes, output_axes, kernel, groups: as in `VarianceScaling`.

    Example:
        >>> keras.layers.Dense(128, "relu", kernel_initializer=tfnn.initializers.HeUniform(seed=1))
    """

    rule = 2.0, "fan_in", "uniform"
