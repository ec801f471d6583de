"""Hue."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfnn.layers.augment.base import Pixelwise, check_rgb
from tfnn.layers.augment.limits import between, from_zero, limits


def rotate_hue(x, turns):
    """Sets H ← H + turns (mod 1) in HSV, for RGB x in [0, 1]."""
    hue, saturation, value = tf.unstack(tf.image.rgb_to_hsv(x), axis=-1)
    return tf.image.hsv_to_rgb(tf.stack([(hue + turns) % 1.0, saturation, value], axis=-1))


@keras.saving.register_keras_serializable("tfnn")
class RandomHue(Pixelwise):
    """Turns the hue in HSV by ± U/2 of the colour circle, with U uniform, one for each image.

    Args:
        factor: a number f, for U in [0, f], or a pair (lower, upper); from 0 to 1, where red may become cyan.
        value_range: (low, high) of the pixels; outputs are kept within it.
        seed: an int, for draws outside of a `tfnn.random.scope`.

    Raises:
        ValueError: for an argument outside of its range, or images without three channels.

    Example:
        >>> images = tfnn.layers.RandomHue(0.1)(images, training=True)
    """

    def __init__(
        self, factor: float | Sequence[float], value_range: Sequence[float] = (0, 255), seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(value_range, seed, **kwargs)
        self.factor, self.limits = factor, limits("factor", factor, 0, 1, from_zero)

    def count(self, height, width, channels):
        return 2

    def check(self, height, width, channels):
        check_rgb(self, channels)

    def adjust(self, x, u):
        turns = tf.where(u[:, :1] < 0.5, -0.5, 0.5) * between(self.limits, u[:, 1:])
        return rotate_hue(tf.clip_by_value(x, 0.0, 1.0), turns[:, :, None])

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
