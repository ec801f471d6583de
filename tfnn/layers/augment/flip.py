"""Reflection (lecture, section 7)."""

from typing import Any

import keras
import tensorflow as tf

from tfnn.layers.augment import affine
from tfnn.layers.augment.base import Geometric


@keras.saving.register_keras_serializable("tfnn")
class RandomFlip(Geometric):
    """Reflects each image with probability ½: x → W − 1 − x, y → H − 1 − y.

    With `mode="horizontal_and_vertical"` the two are drawn independently; Keras 3.15 ties them together, so that it turns an
    image by half a turn or not at all.

    Args:
        mode: "horizontal" (left and right change places), "vertical" or "horizontal_and_vertical".
        seed: an int, for draws outside of a `tfnn.random.scope`.

    Raises:
        ValueError: for another `mode`.

    Example:
        >>> images = tfnn.layers.RandomFlip("horizontal")(images, training=True)
    """

    MODES = "horizontal", "vertical", "horizontal_and_vertical"

    def __init__(self, mode: str = "horizontal_and_vertical", seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(None, None, None, seed, **kwargs)
        if mode not in self.MODES:
            raise ValueError(f"mode={mode!r} must be one of {self.MODES}")
        self.mode = mode

    def count(self, height, width, channels):
        return 2

    def matrix(self, u, height, width):
        sign = tf.where(u < 0.5, -1.0, 1.0)
        x = sign[:, 0] if "horizontal" in self.mode else 1.0
        y = sign[:, 1] if "vertical" in self.mode else 1.0
        return affine.about_centre(affine.scaling(x, y), height, width)

    def get_config(self):
        return {**super().get_config(), "mode": self.mode}
