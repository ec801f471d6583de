"""Brightness."""

from collections.abc import Sequence
from typing import Any

import keras

from tfnn.layers.augment.base import Pixelwise
from tfnn.layers.augment.limits import between, limits, symmetric


@keras.saving.register_keras_serializable("tfnn")
class RandomBrightness(Pixelwise):
    """x + U · (high − low), with U uniform, one for each image.

    Args:
        factor: a number f, for U in [−|f|, |f|], or a pair (lower, upper); from −1 (black) to 1 (white).
        value_range: (low, high) of the pixels; outputs are kept within it.
        seed: an int, for draws outside of a `tfnn.random.scope`.

    Raises:
        ValueError: for an argument outside of its range.

    Example:
        >>> images = tfnn.layers.RandomBrightness(0.2)(images, training=True)
    """

    def __init__(
        self, factor: float | Sequence[float], value_range: Sequence[float] = (0, 255), seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(value_range, seed, **kwargs)
        self.factor, self.limits = factor, limits("factor", factor, -1, 1, symmetric)

    def count(self, height, width, channels):
        return 1

    def adjust(self, x, u):
        return x + between(self.limits, u)[:, :, None, None]

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
