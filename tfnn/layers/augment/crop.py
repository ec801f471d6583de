"""Cropping (lecture, section 7)."""

from typing import Any

import keras
import tensorflow as tf

from tfnn.checks import integer
from tfnn.layers.augment import affine
from tfnn.layers.augment.base import Geometric


@keras.saving.register_keras_serializable("tfnn")
class RandomCrop(Geometric):
    """Cuts a window of height × width pixels at a random place of each image, which may be padded first.

    `RandomCrop(32, 32, padding=4, fill_mode="constant")` is the augmentation of CIFAR-10 in He et al. 2016
    (arXiv:1512.03385, section 4.2). Keras's layer takes the same window for a whole batch, and at test it resizes the
    whole image; this one takes the middle, at the scale of training.

    Args:
        height, width: the size of the output, in pixels.
        seed: an int, for draws outside of a `tfnn.random.scope`.
        padding: the pixels that are added on each side before cropping.
        fill_mode, fill_value: what the padding holds, as in `RandomTranslation`.

    Raises:
        ValueError: for sizes that are not positive integers, a padding that is not an integer of at least 0, or images that
            are smaller than the window.

    Example:
        >>> images = tfnn.layers.RandomCrop(28, 28)(images, training=True)
    """

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        padding: int = 0,
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(None, fill_mode, fill_value, seed, **kwargs)
        self.height, self.width = integer("height", height, 1), integer("width", width, 1)
        self.padding = integer("padding", padding, 0)

    def count(self, height, width, channels):
        return 2

    def matrix(self, u, height, width):
        places = [tf.cast(2 * self.padding + 1 + given - own, tf.float32) for given, own in self.lengths(height, width)]
        y, x = (tf.floor(u[:, i] * count) - self.padding for i, count in enumerate(places))
        return affine.translation(-x, -y)

    def resting(self, height, width):
        if (height, width) == (self.height, self.width):
            return []
        y, x = (tf.cast((given - own) // 2, tf.float32)[None] for given, own in self.lengths(height, width))
        return [affine.translation(-x, -y)]

    def lengths(self, height, width):
        return (height, self.height), (width, self.width)

    def check(self, height, width, channels):
        for given, own in self.lengths(height, width):
            if isinstance(given, int) and own > given + 2 * self.padding:
                raise ValueError(
                    f"a crop of {self.height} × {self.width} needs images as large, got {height} × {width} with"
                    f" padding={self.padding}"
                )

    def output_size(self, height, width):
        return self.height, self.width

    def get_config(self):
        return {**super().get_config(), "height": self.height, "width": self.width, "padding": self.padding}
