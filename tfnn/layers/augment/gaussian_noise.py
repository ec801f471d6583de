"""Gaussian noise (lecture, section 7)."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfnn.layers.augment.base import Pixelwise
from tfnn.layers.augment.limits import always, between, limits


def normals(u):
    """Turns uniform numbers `u` (B, 2n) in [0, 1) into as many normal ones (Box & Muller 1958), none beyond 5.8 σ."""
    u, v = tf.split(u, 2, axis=1)
    radius, angle = tf.sqrt(-2 * tf.math.log1p(-u)), 2 * math.pi * v
    return tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], axis=1)


@keras.saving.register_keras_serializable("tfnn")
class RandomGaussianNoise(Pixelwise):
    """x + σ · (high − low) · N(0, 1), with independent noise for each pixel and channel.

    `keras.layers.GaussianNoise` has one σ, in the unit of its inputs; here σ fits pixels of any range.

    Args:
        stddev: σ as a share of the value range, from 0 to 1; from a pair (lower, upper) each image draws its own.
        value_range: (low, high) of the pixels; outputs are kept within it.
        seed: an int, for draws outside of a `tfnn.random.scope`.

    Raises:
        ValueError: for an argument outside of its range.

    Example:
        >>> images = tfnn.layers.RandomGaussianNoise((0, 0.1))(images, training=True)
    """

    def __init__(
        self, stddev: float | Sequence[float], value_range: Sequence[float] = (0, 255), seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(value_range, seed, **kwargs)
        self.stddev, self.limits = stddev, limits("stddev", stddev, 0, 1, always)

    def count(self, height, width, channels):
        pixels = height * width * channels
        return 1 + pixels + pixels % 2

    def adjust(self, x, u):
        sigma = between(self.limits, u[:, :1])[:, :, None, None]
        _, height, width, channels = tf.unstack(tf.shape(x))
        noise = normals(u[:, 1:])[:, : height * width * channels]
        return x + sigma * tf.reshape(noise, tf.shape(x))

    def get_config(self):
        return {**super().get_config(), "stddev": self.stddev}
