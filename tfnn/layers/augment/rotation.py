"""Rotation (lecture, section 7)."""

from collections.abc import Sequence
from typing import Any

import keras

from tfnn.layers.augment import affine
from tfnn.layers.augment.base import Geometric
from tfnn.layers.augment.limits import between, limits, symmetric


@keras.saving.register_keras_serializable("tfnn")
class RandomRotation(Geometric):
    """Turns each image about its centre by 2πU, counter-clockwise, with U uniform; exact for quarters of a turn.

    Args:
        factor: a share f of a full turn, for U in [−|f|, |f|], or a pair (lower, upper); from −1 to 1.
        fill_mode, interpolation, seed, fill_value: as in `RandomTranslation`.

    Raises:
        ValueError: for an argument outside of its range.

    Example:
        >>> images = tfnn.layers.RandomRotation(0.05)(images, training=True)  # up to 18° to either side
    """

    def __init__(
        self,
        factor: float | Sequence[float],
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(interpolation, fill_mode, fill_value, seed, **kwargs)
        self.factor, self.limits = factor, limits("factor", factor, -1, 1, symmetric)

    def count(self, height, width, channels):
        return 1

    def matrix(self, u, height, width):
        return affine.about_centre(affine.rotation(between(self.limits, u[:, 0])), height, width)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
