"""MixUp (Zhang, Cissé, Dauphin & Lopez-Paz 2018)."""

from typing import Any

import keras
import tensorflow as tf

from tfnn.layers.augment.beta import beta
from tfnn.layers.augment.mixing import Mixing, mixture


@keras.saving.register_keras_serializable("tfnn")
class MixUp(Mixing):
    """x̃ = λ x_i + (1 − λ) x_j, ỹ = λ y_i + (1 − λ) y_j, λ ~ Beta(α, α) (arXiv:1710.09412, section 2).

    Example j is the one before i in the micro-batch (for the first it is the last): shuffling makes it a random one, and a
    batch of one stays as it is. Each pair has its own λ, as in Keras; the authors' program draws one for the whole batch. So
    λ is a function of (seed, epoch, example), however the batch is split. Sample weights mix like labels.

    Under `tfnn.fit(..., augment=MixUp())` integer labels become one-hot, so compile with "categorical_crossentropy". When
    called as a layer it takes a dict of `images`, float or one-hot `labels`, and other tensors with the examples first.

    Args:
        alpha: α > 0; 0.1 to 0.4 on ImageNet, 1 on CIFAR-10 (sections 3.1, 3.2). Small values mix little.
        seed: an int, for use outside `tfnn.fit`, which has its own seed.

    Raises:
        ValueError: for an alpha that is not positive; when called without labels, or with integer labels that are not
            one-hot.

    Example:
        >>> model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        >>> tfnn.fit(model, x, y, epochs=10, augment=tfnn.layers.MixUp(0.2))
    """

    def __init__(self, alpha: float = 0.2, seed: int | None = None, name: str = "mixup", **kwargs: Any) -> None:
        super().__init__(alpha, seed, name=name, **kwargs)

    def mixes_labels(self, x, y):
        self.check_labels(x, y)
        return True

    def augment_batch(self, x, y, sample_weight):
        self.check_labels(x, y)
        (u,) = self.uniforms(keras.tree.flatten(x)[0], 1)
        lam = beta(u, self.alpha)
        x, sample_weight = keras.tree.map_structure(self.floating, (x, sample_weight))
        mix = lambda a: a if a is None else mixture(a, lam)
        y = keras.tree.map_structure(lambda a: self.mixed_label(a, lam), y)
        return keras.tree.map_structure(mix, x), y, keras.tree.map_structure(mix, sample_weight)

    def floating(self, a):
        return a if a is None or a.dtype.is_floating else tf.cast(a, self.compute_dtype)
