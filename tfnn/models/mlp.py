"""A fully connected network."""

from collections.abc import Callable, Sequence

import keras

from tfnn.initializers import HeNormal
from tfnn.layers import BatchNormalization, Dropout


def mlp(
    input_shape: Sequence[int],
    classes: int,
    hidden: Sequence[int] = (128, 128),
    normalize: bool = False,
    dropout: float = 0.0,
    activation: str | Callable = "relu",
    initializer: Callable[[], keras.Initializer] = HeNormal,
    standardize: keras.Layer | None = None,
) -> keras.Model:
    """A flattening layer, hidden dense layers, a softmax.

    BatchNorm stands before the activation, as in the lecture, and dropout after it.

    Args:
        input_shape: the shape of one example.
        classes: the number of classes.
        hidden: the widths of the hidden layers.
        normalize: whether BatchNorm follows each hidden layer; otherwise the layer has a bias.
        dropout: the share of each hidden layer's units that is dropped in training; 0 leaves the layers out.
        activation: the activation of all hidden layers, a name or a function.
        initializer: a function without arguments that makes the initializer of a kernel.
        standardize: an adapted `tfnn.layers.Standardize` to stand first, or None.

    Raises:
        ValueError: for a `dropout` outside [0, 1].

    Example:
        >>> model = tfnn.models.mlp((28, 28, 1), 10, hidden=(256, 128))
    """
    x = inputs = keras.Input(input_shape)
    if standardize is not None:
        x = standardize(x)
    x = keras.layers.Flatten()(x)
    for width in hidden:
        if normalize:
            x = keras.layers.Dense(width, use_bias=False, kernel_initializer=initializer())(x)
            x = keras.layers.Activation(activation)(BatchNormalization()(x))
        else:
            x = keras.layers.Dense(width, activation, kernel_initializer=initializer())(x)
        x = Dropout(dropout)(x) if dropout else x
    outputs = keras.layers.Dense(classes, "softmax", dtype="float32")(x)
    return keras.Model(inputs, outputs, name="mlp")
