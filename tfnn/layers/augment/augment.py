"""Several augmentations with one resampling."""

from collections.abc import Sequence
from typing import Any

import keras

from tfnn.layers.augment.base import Augmentation
from tfnn.layers.augment.mixing import Mixing


@keras.saving.register_keras_serializable("tfnn")
class Augment(Augmentation):
    """Several augmentations, one after the other; the geometric ones share a single resampling.

    With A_k the matrix of the k-th geometric layer, from output to source pixels, M = A_1 A_2 ⋯ A_n is one matrix per image,
    followed by one interpolation. So pixels are blurred once instead of n times, nothing is lost that leaves the frame on
    the way, and it takes one nth of the time. Changes of colour, noise and erasing follow in their order.

    Args:
        layers: a list of layers of this module. The geometric ones must agree on `interpolation`, `fill_mode` and
            `fill_value`.
        seed: an int, for draws outside of a `tfnn.random.scope`; it replaces the seeds of `layers`.

    Raises:
        ValueError: for other layers, or for layers that do not agree.

    Example:
        >>> augment = tfnn.layers.Augment([tfnn.layers.RandomFlip("horizontal"), tfnn.layers.RandomRotation(0.05)])
        >>> images = augment(images, training=True)
        >>> transform = augment.draw(images)  # the same draw for images, masks, key points and boxes
    """

    def __init__(self, layers: Sequence[keras.Layer], seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        if not isinstance(layers, list | tuple) or not layers:
            raise ValueError(f"layers={layers} must be a list of at least one layer")
        self.layers = [keras.saving.deserialize_keras_object(layer) if isinstance(layer, dict) else layer for layer in layers]
        for layer in self.layers:
            if isinstance(layer, Mixing):
                kind = type(layer).__name__
                raise ValueError(f"{kind} mixes labels, too: put it behind the others, augment=[Augment([...]), {kind}()]")
            if not isinstance(layer, Augmentation) or isinstance(layer, Augment):
                raise ValueError(f"layers must be single layers of tfnn.layers.augment, got {layer}")
        self.sampling  # noqa: B018 members that disagree are refused here rather than at the first call

    def members(self):
        return self.layers

    def build(self, input_shape):
        for layer in self.layers:
            layer.build(input_shape)

    def get_config(self):
        return {**super().get_config(), "layers": [keras.saving.serialize_keras_object(layer) for layer in self.layers]}
