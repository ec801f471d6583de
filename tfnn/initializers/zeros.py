"""Zeros, so that a residual branch starts as nothing (Goyal et al. 2017, arXiv:1706.02677, section 5.1)."""

import keras

from tfnn.initializers.fans import check_shape


@keras.saving.register_keras_serializable("tfnn")
class Zeros(keras.initializers.Zeros):
    """γ = 0 for the last scale of a residual branch: the block starts as its shortcut, y = x + 0 · F(x).

    Goyal et al. 2017, arXiv:1706.02677, section 5.1. It also suits biases, but not kernels, whose units would all be updated
    alike.

    Raises:
        ValueError: when called, for a shape with a dimension of 0.

    Example:
        >>> tfnn.layers.BatchNormalization(gamma_initializer=tfnn.initializers.Zeros())
    """

    def __call__(self, shape, dtype=None):
        check_shape(shape)
        return super().__call__(shape, dtype)
