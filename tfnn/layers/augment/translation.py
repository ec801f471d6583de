"""Translation (lecture, section 7)."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfnn.layers.augment import affine
from tfnn.layers.augment.base import Geometric
from tfnn.layers.augment.limits import between, limits, symmetric


@keras.saving.register_keras_serializable("tfnn")
class RandomTranslation(Geometric):
    """Moves each image by (U_x · W, U_y · H) pixels, right and down, with U uniform.

    Args:
        height_factor, width_factor: a share f of the image's height or width, for U in [−|f|, |f|], or a pair (lower,
            upper); each from −1 to 1.
        fill_mode: what lies outside of the image: "reflect" (c b a | a b c), "wrap" (a b c | a b c), "nearest" (a a a | a b c)
            or "constant".
        interpolation: "bilinear" or "nearest".
        seed: an int, for draws outside of a `tfnn.random.scope`.
        fill_value: the value of pixels that `fill_mode="constant"` fills.

    Raises:
        ValueError: for an argument outside of its range.

    Example:
        >>> images = tfnn.layers.RandomTranslation(0.1, 0.1)(images, training=True)
    """

    def __init__(
        self,
        height_factor: float | Sequence[float],
        width_factor: float | Sequence[float],
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(interpolation, fill_mode, fill_value, seed, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self.y_limits = limits("height_factor", height_factor, -1, 1, symmetric)
        self.x_limits = limits("width_factor", width_factor, -1, 1, symmetric)

    def count(self, height, width, channels):
        return 2

    def matrix(self, u, height, width):
        x, y = between(self.x_limits, u[:, 0]), between(self.y_limits, u[:, 1])
        return affine.translation(x * tf.cast(width, tf.float32), y * tf.cast(height, tf.float32))

    def get_config(self):
        return {**super().get_config(), "height_factor": self.height_factor, "width_factor": self.width_factor}
