"""A plain convolutional network (lecture, sections 6 and 8; the stages of VGG, Simonyan & Zisserman 2015, arXiv:1409.1556)."""

from collections.abc import Callable, Sequence

import keras

from tfnn.initializers import HeNormal
from tfnn.layers import BatchNormalization, Dropout


def convnet(
    input_shape: Sequence[int],
    classes: int,
    stages: Sequence[int] = (32, 64),
    hidden: int = 128,
    normalize: bool = True,
    dropout: float = 0.5,
    activation: str | Callable = "relu",
    initializer: Callable[[], keras.Initializer] = HeNormal,
    standardize: keras.Layer | None = None,
) -> keras.Model:
    """Stages of two 3×3 convolutions and a 2×2 max pooling, then a hidden layer with dropout, then a softmax.

    BatchNorm stands before the activation, as in the lecture. An image that is only one pixel wide is not halved further.

    Args:
        input_shape: (height, width, channels) of one image, of any size.
        classes: number of classes.
        stages: the channels of each stage.
        hidden: the width of the hidden layer.
        normalize: whether BatchNorm follows each convolution; otherwise the convolution has a bias.
        dropout: the share of hidden units that is dropped in training.
        activation: the activation of all hidden layers, a name or a function.
        initializer: a function without arguments that makes the initializer of a kernel.
        standardize: an adapted `tfnn.layers.Standardize` to stand first, or None.

    Raises:
        ValueError: for an `input_shape` that is not that of an image.

    Example:
        >>> model = tfnn.models.convnet((28, 28, 1), 10)
        >>> model.compile(tfnn.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy")
    """
    if len(input_shape) != 3:
        raise ValueError(f"input_shape={tuple(input_shape)} must be (height, width, channels)")
    x = inputs = keras.Input(input_shape)
    if standardize is not None:
        x = standardize(x)
    for filters in stages:
        for _ in range(2):
            x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=not normalize, kernel_initializer=initializer())(x)
            x = BatchNormalization()(x) if normalize else x
            x = keras.layers.Activation(activation)(x)
        if min(x.shape[1:3]) > 1:
            x = keras.layers.MaxPooling2D()(x)  # (B, H/2, W/2, filters)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(hidden, activation, kernel_initializer=initializer())(x)
    x = Dropout(dropout)(x)
    outputs = keras.layers.Dense(classes, "softmax", dtype="float32")(x)
    return keras.Model(inputs, outputs, name="convnet")
