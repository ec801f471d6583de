"""ResNet for small images in one page (He et al. 2016, arXiv:1512.03385, section 4.2; lecture, section 8)."""

from collections.abc import Callable, Sequence

import keras

from tfnn.initializers import HeNormal
from tfnn.layers import BatchNormalization, PreactivationBlock, ResidualBlock


def resnet(
    input_shape: Sequence[int],
    classes: int,
    depth: int = 20,
    width: int = 16,
    preactivation: bool = False,
    normalize: bool = True,
    dropout: float = 0.0,
    activation: str | Callable = "relu",
    initializer: Callable[[], keras.Initializer] = HeNormal,
    standardize: keras.Layer | None = None,
) -> keras.Model:
    """Three stages of `(depth − 2) / 6` residual blocks; the second and third halve the image and double the channels.

    Where the shape changes, the shortcut is a projection (option B of the paper); the paper's CIFAR networks pad with zeros
    instead (option A), which has no weights.

    With `preactivation`, BatchNorm and activation stand before each convolution of a block, and once after the last block
    (He et al. 2016, arXiv:1603.05027). The first shortcut is an identity from the bare first convolution, as in the authors'
    code where the width stays the same; in the paper's appendix it is activated.

    Without normalisation each branch starts with its last kernel at 0, so that the signal keeps its size at any depth
    (Zhang et al. 2019, arXiv:1901.09321); a deep network then needs a smaller learning rate.

    Args:
        input_shape: (height, width, channels) of one image, of any size.
        classes: number of classes.
        depth: the number of layers with weights, 6n + 2: 8, 14, 20, 32, 56, 110.
        width: the channels of the first stage.
        preactivation: whether the blocks are `PreactivationBlock`s; otherwise they are `ResidualBlock`s.
        normalize: whether each convolution has a BatchNorm; otherwise it has a bias.
        dropout: the share of units that is dropped in training between the convolutions of a block (Zagoruyko & Komodakis
            2016, arXiv:1605.07146, fig. 1d); 0 leaves the layers out.
        activation: the activation of all hidden layers, a name or a function.
        initializer: a function without arguments that makes the initializer of a kernel.
        standardize: an adapted `tfnn.layers.Standardize` to stand first, or None.

    Raises:
        ValueError: for a depth that is not 6n + 2, an `input_shape` that is not that of an image, or a `dropout` outside
            [0, 1].

    Example:
        >>> model = tfnn.models.resnet((32, 32, 3), 10, depth=20)
        >>> model.compile(tfnn.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    """
    if len(input_shape) != 3:
        raise ValueError(f"input_shape={tuple(input_shape)} must be (height, width, channels)")
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"depth={depth} must be 6n + 2: 8, 14, 20, 32, 56, 110")

    def activate(x):
        return keras.layers.Activation(activation)(BatchNormalization()(x) if normalize else x)

    x = inputs = keras.Input(input_shape)
    if standardize is not None:
        x = standardize(x)
    x = keras.layers.Conv2D(width, 3, padding="same", use_bias=not normalize, kernel_initializer=initializer())(x)
    x = x if preactivation else activate(x)  # (B, H, W, width)
    residual_block = PreactivationBlock if preactivation else ResidualBlock
    for stage in range(3):
        for block in range((depth - 2) // 6):
            strides = 2 if stage and not block else 1
            x = residual_block(width * 2**stage, strides, normalize, dropout, activation, initializer())(x)
    x = activate(x) if preactivation else x  # (B, ⌈H/4⌉, ⌈W/4⌉, 4 width)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(classes, "softmax", dtype="float32")(x)
    return keras.Model(inputs, outputs, name=f"resnet{depth}")
