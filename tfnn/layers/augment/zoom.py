"""Scaling (lecture, section 7)."""

from collections.abc import Sequence
from typing import Any

import keras

from tfnn.layers.augment import affine
from tfnn.layers.augment.base import Geometric
from tfnn.layers.augment.limits import between, limits, symmetric


@keras.saving.register_keras_serializable("tfnn")
class RandomZoom(Geometric):
    """Scales each image about its centre: the output's height spans 1 + U of the source's, with U uniform.

    Args:
        height_factor: a number f, for U in [−|f|, |f|], or a pair (lower, upper), above −1 and up to 1. Positive values zoom
            out: things become smaller.
        width_factor: the same for the width. None keeps the aspect ratio.
        fill_mode, interpolation, seed, fill_value: as in `RandomTranslation`.

    Raises:
        ValueError: for an argument outside of its range.

    Example:
        >>> images = tfnn.layers.RandomZoom((-0.2, 0.1))(images, training=True)
    """

    def __init__(
        self,
        height_factor: float | Sequence[float],
        width_factor: float | Sequence[float] | None = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(interpolation, fill_mode, fill_value, seed, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self.y_limits = limits("height_factor", height_factor, -0.999, 1, symmetric)
        self.x_limits = None if width_factor is None else limits("width_factor", width_factor, -0.999, 1, symmetric)

    def count(self, height, width, channels):
        return 2

    def matrix(self, u, height, width):
        y = 1 + between(self.y_limits, u[:, 0])
        x = y if self.x_limits is None else 1 + between(self.x_limits, u[:, 1])
        return affine.about_centre(affine.scaling(x, y), height, width)

    def get_config(self):
        return {**super().get_config(), "height_factor": self.height_factor, "width_factor": self.width_factor}
