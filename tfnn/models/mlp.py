"""A fully connected network."""

import keras

from tfnn.initializers import HeNormal


def mlp(input_shape, classes, hidden=(128, 128), standardize=None):
    """Flatten, dense layers with ReLU and He's initialisation, a softmax.

    Args:
        input_shape: shape of one example.
        classes: number of classes.
        hidden: widths of the hidden layers.
        standardize: an adapted `tfnn.layers.Standardize` to stand first, or None.

    Example:
        >>> model = tfnn.models.mlp((28, 28, 1), 10, hidden=(256, 128))
    """
    x = inputs = keras.Input(input_shape)
    if standardize is not None:
        x = standardize(x)
    x = keras.layers.Flatten()(x)
    for width in hidden:
        x = keras.layers.Dense(width, "relu", kernel_initializer=HeNormal())(x)
    outputs = keras.layers.Dense(classes, "softmax", dtype="float32")(x)
    return keras.Model(inputs, outputs, name="mlp")
