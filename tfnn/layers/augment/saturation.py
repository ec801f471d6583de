"""Saturation."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfnn.layers.augment.base import Pixelwise, check_rgb
from tfnn.layers.augment.limits import between, from_zero, limits


def saturate(x, factor):
    """Sets S ← min(factor · S, 1) in HSV and keeps H and V, for RGB x in [0, 1].

    V = max x, S = (V − min x)/V, and V − x_c is S times a term of H and V alone, so that it suffices to scale V − x_c.
    """
    value, least = tf.reduce_max(x, -1, keepdims=True), tf.reduce_min(x, -1, keepdims=True)
    grey = value == least
    scale = tf.minimum(factor, value / tf.where(grey, 1.0, value - least))
    return tf.where(grey, x, value - (value - x) * scale)


@keras.saving.register_keras_serializable("tfnn")
class RandomSaturation(Pixelwise):
    """Multiplies the saturation in HSV by U / (1 − U), up to full saturation, with U uniform, one for each image.

    Args:
        factor: a number f, for U in [0, f], or a pair (lower, upper); 0 is grey, 0.5 changes nothing, 1 is full saturation.
        value_range: (low, high) of the pixels; outputs are kept within it. (Keras 3.15 clips S to that range, as if it were
            a pixel, so that with its default S grows beyond 1.)
        seed: an int, for draws outside of a `tfnn.random.scope`.

    Raises:
        ValueError: for an argument outside of its range, or images without three channels.

    Example:
        >>> images = tfnn.layers.RandomSaturation((0.4, 0.6))(images, training=True)
    """

    def __init__(
        self, factor: float | Sequence[float], value_range: Sequence[float] = (0, 255), seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(value_range, seed, **kwargs)
        self.factor, self.limits = factor, limits("factor", factor, 0, 1, from_zero)

    def count(self, height, width, channels):
        return 1

    def check(self, height, width, channels):
        check_rgb(self, channels)

    def adjust(self, x, u):
        share = between(self.limits, u)[:, :, None, None]
        return saturate(tf.clip_by_value(x, 0.0, 1.0), share / tf.maximum(1 - share, 1e-7))

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
