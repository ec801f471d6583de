"""Contrast."""

import numbers
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfnn.layers.augment.base import Pixelwise
from tfnn.layers.augment.limits import always, between, limits


@keras.saving.register_keras_serializable("tfnn")
class RandomContrast(Pixelwise):
    """(x − m) U + m, with m the mean of each channel of each image and U uniform, one for each image.

    Args:
        factor: a number f, for U in [1 − f, 1 + f], or a pair, for [1 − lower, 1 + upper]; from 0 to 1.
            (With a single f, Keras 3.15 draws from [1, 1 + f], against its own documentation.)
        value_range: (low, high) of the pixels; outputs are kept within it.
        seed: an int, for draws outside of a `tfnn.random.scope`.

    Raises:
        ValueError: for an argument outside of its range.

    Example:
        >>> images = tfnn.layers.RandomContrast(0.2)(images, training=True)
    """

    def __init__(
        self, factor: float | Sequence[float], value_range: Sequence[float] = (0, 255), seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(value_range, seed, **kwargs)
        limits("factor", factor, 0, 1, always)
        lower, upper = always(factor) if isinstance(factor, (int, float, numbers.Real)) else factor
        self.factor, self.limits = factor, (1 - lower, 1 + upper)

    def count(self, height, width, channels):
        return 1

    def adjust(self, x, u):
        mean = tf.reduce_mean(x, axis=(1, 2), keepdims=True)
        return (x - mean) * between(self.limits, u)[:, :, None, None] + mean

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
