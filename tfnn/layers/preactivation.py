"""Residual block with full pre-activation (He et al. 2016, arXiv:1603.05027, fig. 4e)."""

import keras

from tfnn.initializers import Zeros
from tfnn.layers.residual import ResidualBlock, build_path, follow


@keras.saving.register_keras_serializable("tfnn")
class PreactivationBlock(ResidualBlock):
    """y = x + F(a), a = ReLU(BatchNorm(x)): the identity path stays free, so that the sum of all branches reaches every layer.

    F is a 3×3 convolution, BatchNorm, ReLU and a second 3×3 convolution. Where stride or width change, y = W a + F(a) with
    a 1×1 convolution W of the activated input (as in the authors' code). The output of the last block must be normalised and
    activated by the layers that follow it.

    All kernels start from `kernel_initializer`, as in the paper; without BatchNorm the last kernel of F starts at 0, so that
    the block starts as the identity (Zhang et al. 2019, arXiv:1901.09321, rule 1 of Fixup).

    Args:
        filters, strides, normalize, dropout, activation, kernel_initializer: as in `ResidualBlock`.

    Input (B, H, W, C), output (B, ⌈H/strides⌉, ⌈W/strides⌉, filters).

    Raises:
        ValueError: as `ResidualBlock`.

    Example:
        >>> x = tfnn.layers.PreactivationBlock(32, strides=2)(x)
        >>> x = keras.layers.ReLU()(tfnn.layers.BatchNormalization()(x))
    """

    def build(self, input_shape):
        self.first = [*self.norm(), self.act()]
        last_kernel = None if self.normalize else Zeros()
        self.branch = [
            self.conv(3, self.strides),
            *self.norm(),
            self.act(),
            *self.drop(),
            self.conv(3, kernel_initializer=last_kernel),
        ]
        self.shortcut = [self.conv(1, self.strides)] if self.changes(input_shape) else []
        for path in self.first, self.branch, self.shortcut:
            build_path(path, input_shape)

    def call(self, inputs):
        a = follow(self.first, inputs)
        return follow(self.branch, a) + (follow(self.shortcut, a) if self.shortcut else inputs)
