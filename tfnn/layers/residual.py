"""Residual block (He et al. 2016, arXiv:1512.03385, fig. 2; lecture, section 8)."""

import keras

from tfnn.initializers import HeNormal, Zeros
from tfnn.layers.batch_normalization import BatchNormalization


@keras.saving.register_keras_serializable("tfnn")
class ResidualBlock(keras.layers.Layer):
    """y = ReLU(F(x) + S(x)): two 3×3 convolutions, each with BatchNorm, the first with a ReLU; beside them a shortcut.

    S is the identity, or a 1×1 convolution with BatchNorm where stride or width change (He et al. 2016, option B). The
    last γ of F starts at 0, so that the block starts as ReLU(S(x)) (Goyal et al. 2017, section 5.1).

    Args:
        filters: channels of the output.
        strides: 2 halves height and width.
        kernel_initializer: of all convolutions; each gets a clone, so that without a seed no two start alike.

    Input (B, H, W, C), output (B, ⌈H/strides⌉, ⌈W/strides⌉, filters).

    Raises:
        ValueError: for `filters` or `strides` below 1.

    Example:
        >>> x = tfnn.layers.ResidualBlock(32, strides=2)(x)
    """

    def __init__(self, filters, strides=1, kernel_initializer=None, **kwargs):
        super().__init__(**kwargs)
        if not (filters >= 1 and strides >= 1):
            raise ValueError(f"filters={filters} and strides={strides} must be positive")
        self.filters, self.strides = filters, strides
        self.kernel_initializer = keras.initializers.get(kernel_initializer) or HeNormal()

    def build(self, input_shape):
        self.branch = [
            self.conv(3, self.strides),
            BatchNormalization(dtype=self.dtype_policy),
            keras.layers.ReLU(dtype=self.dtype_policy),
            self.conv(3),
            BatchNormalization(gamma_initializer=Zeros(), dtype=self.dtype_policy),
        ]
        changes = self.strides > 1 or input_shape[-1] != self.filters
        self.shortcut = [self.conv(1, self.strides), BatchNormalization(dtype=self.dtype_policy)] if changes else []
        self.activation = keras.layers.ReLU(dtype=self.dtype_policy)
        for path in self.branch, self.shortcut:
            shape = input_shape
            for layer in path:
                layer.build(shape)
                shape = layer.compute_output_shape(shape)

    def conv(self, size, strides=1):
        return keras.layers.Conv2D(
            self.filters,
            size,
            strides,
            padding="same",
            use_bias=False,
            kernel_initializer=self.kernel_initializer.clone(),
            dtype=self.dtype_policy,
        )

    def call(self, inputs):
        return self.activation(follow(self.branch, inputs) + follow(self.shortcut, inputs))

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        shrink = lambda size: None if size is None else -(-size // self.strides)
        return batch, shrink(height), shrink(width), self.filters

    def get_config(self):
        initializer = keras.initializers.serialize(self.kernel_initializer)
        return {
            **super().get_config(),
            "filters": self.filters,
            "strides": self.strides,
            "kernel_initializer": initializer,
        }


def follow(path, x):
    for layer in path:  # Keras hands `training` on to layers that are called inside a layer
        x = layer(x)
    return x
