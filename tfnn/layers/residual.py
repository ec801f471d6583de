"""Residual block (He et al. 2016, arXiv:1512.03385, fig. 2; lecture, section 8)."""

from collections.abc import Callable
from typing import Any

import keras

from tfnn.checks import fraction
from tfnn.initializers import HeNormal, Zeros
from tfnn.layers.batch_normalization import BatchNormalization
from tfnn.layers.dropout import Dropout


@keras.saving.register_keras_serializable("tfnn")
class ResidualBlock(keras.layers.Layer):
    """y = ReLU(F(x) + S(x)). F has two 3×3 convolutions, each with BatchNorm, the first with a ReLU; S is a shortcut.

    S is the identity, or a 1×1 convolution with BatchNorm where stride or width change (He et al. 2016, option B). F starts
    at 0, so that the block starts as ReLU(S(x)) at any depth: its last γ is 0 (Goyal et al. 2017, arXiv:1706.02677, section
    5.1), or, without BatchNorm, its last kernel is 0 (Zhang et al. 2019, arXiv:1901.09321, rule 1 of Fixup).

    Args:
        filters: channels of the output.
        strides: 2 halves height and width.
        normalize: whether BatchNorm follows each convolution; otherwise the convolution has a bias.
        dropout: the share of units that is dropped in training between the convolutions, after the activation (Zagoruyko &
            Komodakis 2016, arXiv:1605.07146, fig. 1d); 0 leaves the layer out.
        activation: the name of a function, or a function, in place of ReLU.
        kernel_initializer: the initializer of all convolutions; each gets a clone, so that without a seed no two start alike.

    Input (B, H, W, C), output (B, ⌈H/strides⌉, ⌈W/strides⌉, filters).

    Raises:
        ValueError: for `filters` or `strides` below 1, or a `dropout` outside [0, 1].

    Example:
        >>> x = tfnn.layers.ResidualBlock(32, strides=2)(x)
    """

    def __init__(
        self,
        filters: int,
        strides: int = 1,
        normalize: bool = True,
        dropout: float = 0.0,
        activation: str | Callable = "relu",
        kernel_initializer: str | keras.Initializer | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not (filters >= 1 and strides >= 1):
            raise ValueError(f"filters={filters} and strides={strides} must be positive")
        fraction("dropout", dropout)
        self.filters, self.strides, self.normalize, self.dropout = filters, strides, normalize, dropout
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer) or HeNormal()

    def build(self, input_shape):
        last_kernel = None if self.normalize else Zeros()
        self.branch = [
            self.conv(3, self.strides),
            *self.norm(),
            self.act(),
            *self.drop(),
            self.conv(3, kernel_initializer=last_kernel),
            *self.norm(gamma_initializer=Zeros()),
        ]
        self.shortcut = [self.conv(1, self.strides), *self.norm()] if self.changes(input_shape) else []
        self.last = self.act()
        build_path(self.branch, input_shape)
        build_path(self.shortcut, input_shape)

    def call(self, inputs):
        return self.last(follow(self.branch, inputs) + follow(self.shortcut, inputs))

    def changes(self, input_shape):
        return self.strides > 1 or input_shape[-1] != self.filters

    # The parts of a path; a part that may be left out is a list.

    def conv(self, size, strides=1, kernel_initializer=None):
        return keras.layers.Conv2D(
            self.filters,
            size,
            strides,
            padding="same",
            use_bias=not self.normalize,
            kernel_initializer=kernel_initializer or self.kernel_initializer.clone(),
            dtype=self.dtype_policy,
        )

    def norm(self, **initializers):
        return [BatchNormalization(dtype=self.dtype_policy, **initializers)] if self.normalize else []

    def act(self):
        return keras.layers.Activation(self.activation, dtype=self.dtype_policy)

    def drop(self):
        return [Dropout(self.dropout, dtype=self.dtype_policy)] if self.dropout else []

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        shrink = lambda size: None if size is None else -(-size // self.strides)
        return batch, shrink(height), shrink(width), self.filters

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "strides": self.strides,
            "normalize": self.normalize,
            "dropout": float(self.dropout),
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def build_path(path, shape):
    for layer in path:
        layer.build(shape)
        shape = layer.compute_output_shape(shape)


def follow(path, x):
    for layer in path:  # Keras passes `training` on to layers that are called inside a layer
        x = layer(x)
    return x
