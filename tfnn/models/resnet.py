"""ResNet for small images in one page (He et al. 2016, arXiv:1512.03385, section 4.2; lecture, section 8)."""

import keras

from tfnn.initializers import HeNormal
from tfnn.layers import BatchNormalization, ResidualBlock


def resnet(input_shape, classes, depth=20, width=16, standardize=None):
    """Three stages of `(depth − 2) / 6` residual blocks; the second and third halve the image and double the channels.

    Where the shape changes the shortcut is a projection (option B of the paper); its CIFAR networks pad with zeros
    (option A), which has no weights.

    Args:
        input_shape: (height, width, channels) of one image, of any size.
        classes: number of classes.
        depth: 6n + 2 layers with weights: 8, 14, 20, 32, 56, 110.
        width: channels of the first stage.
        standardize: an adapted `tfnn.layers.Standardize` to stand first, or None.

    Raises:
        ValueError: for a depth that is not 6n + 2, or an input that is no image.

    Example:
        >>> model = tfnn.models.resnet((32, 32, 3), 10, depth=20)
        >>> model.compile(tfnn.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    """
    if len(input_shape) != 3:
        raise ValueError(f"input_shape={tuple(input_shape)} must be (height, width, channels)")
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"depth={depth} must be 6n + 2: 8, 14, 20, 32, 56, 110")
    x = inputs = keras.Input(input_shape)
    if standardize is not None:
        x = standardize(x)
    x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False, kernel_initializer=HeNormal())(x)  # (B, H, W, width)
    x = keras.layers.ReLU()(BatchNormalization()(x))
    for stage in range(3):
        for block in range((depth - 2) // 6):
            x = ResidualBlock(width * 2**stage, strides=2 if stage and not block else 1)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)  # (B, 4 width)
    outputs = keras.layers.Dense(classes, "softmax", dtype="float32")(x)
    return keras.Model(inputs, outputs, name=f"resnet{depth}")
