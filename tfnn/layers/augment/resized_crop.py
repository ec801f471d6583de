"""Random resized crop (Szegedy et al. 2015)."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfnn.checks import integer
from tfnn.layers.augment import affine
from tfnn.layers.augment.base import Geometric
from tfnn.layers.augment.limits import between, limits


@keras.saving.register_keras_serializable("tfnn")
class RandomResizedCrop(Geometric):
    """Cuts a window of random area, aspect ratio and place from each image, and resizes it to height × width pixels.

    The area is S·H·W and the ratio r = width / height, with S and log r uniform: the window is √(S H W r) × √(S H W / r), cut
    to the image where it is longer (Szegedy et al. 2015, arXiv:1409.4842, section 6; torchvision draws anew instead). At
    test it is the largest window in the middle with the aspect ratio of the output.

    The sampler reads only the four pixels around each source position, so make images that are much larger than
    height × width smaller beforehand.

    Args:
        height, width: the size of the output, in pixels.
        scale: a pair, the limits of the share S of the area, above 0 and up to 1.
        ratio: a pair, the limits of r, positive.
        interpolation: "bilinear" or "nearest".
        seed: an int, for draws outside of a `tfnn.random.scope`.

    Raises:
        ValueError: for an argument outside of its range.

    Example:
        >>> images = tfnn.layers.RandomResizedCrop(224, 224)(images, training=True)
    """

    def __init__(
        self,
        height: int,
        width: int,
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: str = "bilinear",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(interpolation, None, None, seed, **kwargs)
        self.height, self.width = integer("height", height, 1), integer("width", width, 1)
        self.scale, self.ratio = scale, ratio
        self.scale_limits = limits("scale", scale, 1e-6, 1, None)
        self.log_ratio_limits = [math.log(bound) for bound in limits("ratio", ratio, 1e-3, 1e3, None)]

    def count(self, height, width, channels):
        return 4

    def matrix(self, u, height, width):
        height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
        area = between(self.scale_limits, u[:, 0]) * height * width
        ratio = tf.exp(between(self.log_ratio_limits, u[:, 1]))
        w, h = tf.minimum(tf.sqrt(area * ratio), width), tf.minimum(tf.sqrt(area / ratio), height)
        return self.window(u[:, 2] * (width - w), u[:, 3] * (height - h), w, h)

    def window(self, left, top, width, height):
        """The matrix that stretches the window over the output; edges meet edges, not centres of pixels."""
        x, y = width / self.width, height / self.height
        return affine.affine(x, 0.0, left + (x - 1) / 2, 0.0, y, top + (y - 1) / 2)

    def resting(self, height, width):
        if (height, width) == (self.height, self.width):
            return []
        height, width = (tf.cast(length, tf.float32)[None] for length in (height, width))
        scale = tf.minimum(height / self.height, width / self.width)
        w, h = self.width * scale, self.height * scale
        return [self.window((width - w) / 2, (height - h) / 2, w, h)]

    def output_size(self, height, width):
        return self.height, self.width

    def get_config(self):
        own = {"height": self.height, "width": self.width, "scale": self.scale, "ratio": self.ratio}
        return {**super().get_config(), **own}
