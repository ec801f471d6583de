"""Shear."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfnn.layers.augment import affine
from tfnn.layers.augment.base import Geometric
from tfnn.layers.augment.limits import between, from_zero, limits


@keras.saving.register_keras_serializable("tfnn")
class RandomShear(Geometric):
    """Takes the pixel at (x, y) from (x ± U_x y, y ± U_y x), with U uniform and each sign drawn at random.

    The first pixel stays in its place, as in Keras, which draws one sign for both axes.

    Args:
        x_factor, y_factor: a number f, for U in [0, f], or a pair (lower, upper); in pixels per pixel, from 0 to 1.
        interpolation, fill_mode, fill_value, seed: as in `RandomTranslation`.

    Raises:
        ValueError: for an argument outside of its range.

    Example:
        >>> images = tfnn.layers.RandomShear(0.2, 0.2)(images, training=True)
    """

    def __init__(
        self,
        x_factor: float | Sequence[float] = 0.0,
        y_factor: float | Sequence[float] = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(interpolation, fill_mode, fill_value, seed, **kwargs)
        self.x_factor, self.y_factor = x_factor, y_factor
        self.x_limits = limits("x_factor", x_factor, 0, 1, from_zero)
        self.y_limits = limits("y_factor", y_factor, 0, 1, from_zero)

    def count(self, height, width, channels):
        return 4

    def matrix(self, u, height, width):
        sign = tf.where(u < 0.5, -1.0, 1.0)
        x, y = between(self.x_limits, u[:, 0]), between(self.y_limits, u[:, 1])
        return affine.shear(sign[:, 2] * x, sign[:, 3] * y)

    def get_config(self):
        return {**super().get_config(), "x_factor": self.x_factor, "y_factor": self.y_factor}
