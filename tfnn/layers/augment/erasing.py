"""Occlusion: random erasing, cutout (lecture, section 7)."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfnn.layers.augment.base import Pixelwise
from tfnn.layers.augment.limits import always, between, limits


def inside(share, place, length):
    """Which of `length` positions a run of a `share` of them covers, rounded; `place` (0 to 1) chooses among its starts."""
    length = tf.cast(length, tf.float32)
    run = tf.round(share * length)
    start = tf.floor(place * (length - run + 1))
    position = tf.range(length)
    return (position >= start[:, None]) & (position < start[:, None] + run[:, None])  # (B, length)


@keras.saving.register_keras_serializable("tfnn")
class RandomErasing(Pixelwise):
    """Covers a rectangle of each image with random pixels or a colour (Zhong et al. 2020, arXiv:1708.04896, algorithm 1).

    The sides are √S₁ · H and √S₂ · W, rounded, with S₁ and S₂ uniform within `scale`, as in Keras; the paper draws area and
    aspect ratio. With `fill_value=0` it is cutout (DeVries & Taylor 2017, arXiv:1708.04552), but always wholly inside the
    image. Masks, boxes and points do not change.

    Args:
        factor: the probability that an image is covered; from a pair (lower, upper) each image draws its own. (Keras 3.15
            reads a single number f as the pair (0, f), so that 1 covers only every other image.)
        scale: the limits of S, a number or a pair, from 0 to 1: the covered share of the area.
        fill_value: a number, or one for each channel. None draws each pixel uniformly from the value range, as in the paper
            (Keras draws from a normal distribution that is cut off at the range).
        value_range: (low, high) of the pixels.
        seed: an int, for draws outside of a `tfnn.random.scope`.

    Raises:
        ValueError: for an argument outside of its range.

    Example:
        >>> images = tfnn.layers.RandomErasing(0.5, (0.02, 0.2), fill_value=0)(images, training=True)
    """

    def __init__(
        self,
        factor: float | Sequence[float] = 1.0,
        scale: float | Sequence[float] = (0.02, 0.33),
        fill_value: float | Sequence[float] | None = None,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(value_range, seed, **kwargs)
        self.factor, self.probability = factor, limits("factor", factor, 0, 1, always)
        self.scale, self.area = scale, limits("scale", scale, 0, 1, always)
        self.fill_value = fill_value

    def count(self, height, width, channels):
        return 6 + (height * width * channels if self.fill_value is None else 0)

    def check(self, height, width, channels):
        if self.fill_value is not None and isinstance(channels, int) and np.size(self.fill_value) not in (1, channels):
            raise ValueError(f"fill_value={self.fill_value} must have a number for each of {channels} channels")

    def change(self, x, u):
        draw, box, place = u[:, 0:2], tf.sqrt(between(self.area, u[:, 2:4])), u[:, 4:6]
        covered = draw[:, 0] < between(self.probability, draw[:, 1])
        rows, columns = (inside(box[:, i], place[:, i], tf.shape(x)[1 + i]) for i in (0, 1))
        box = rows[:, :, None, None] & columns[:, None, :, None] & covered[:, None, None, None]
        return tf.where(box, self.fill(x, u[:, 6:]), x)

    def fill(self, x, u):
        if self.fill_value is None:
            return tf.reshape(between(self.value_range, u), tf.shape(x))
        return tf.constant(self.fill_value, tf.float32)

    def get_config(self):
        own = {"factor": self.factor, "scale": self.scale, "fill_value": self.fill_value}
        return {**super().get_config(), **own}
