"""CutMix (Yun, Han, Oh, Chun, Choe & Yoo 2019)."""

from typing import Any

import keras
import tensorflow as tf

from tfnn.layers.augment.beta import beta
from tfnn.layers.augment.mixing import Mixing, of_pixels, partner


def boxes(lam, centre_y, centre_x, height, width):
    """Eq. 2: r_h = H √(1 − λ), r_w = W √(1 − λ) around (r_y, r_x), cut off at the border. Bool (B, H, W).

    Args:
        lam: λ, (B,).
        centre_y, centre_x: uniform numbers in [0, 1), (B,).
        height, width: of the images, numbers or int scalars.
    """

    def between(centre, size):
        size_float = tf.cast(size, tf.float32)
        side = tf.round(size_float * tf.sqrt(1 - lam))[:, None]
        low = tf.floor(centre * size_float)[:, None] - tf.floor(side / 2)
        at = tf.range(size_float)[None]
        return (low <= at) & (at < low + side)

    return between(centre_y, height)[:, :, None] & between(centre_x, width)[:, None, :]


@keras.saving.register_keras_serializable("tfnn")
class CutMix(Mixing):
    """x̃ = M ⊙ x_i + (1 − M) ⊙ x_j, ỹ = λ y_i + (1 − λ) y_j (arXiv:1905.04899, eq. 1): a box of x_j is pasted into x_i.

    The box covers a share 1 − λ of the image, λ ~ Beta(α, α), and has a uniform centre (eq. 2). It is cut off at the border
    of the image, and the labels mix by the share of pixels that were really pasted, as in the authors' program. Example j is
    the one before i in the micro-batch, and each pair has its own box, as in `MixUp`. Masks, which are labels or weights
    (B, H, W) or (B, H, W, C) of each pixel, are cut with the same boxes and keep their integers; all other labels and sample
    weights mix by λ.

    Keras's CutMix draws λ uniformly between 0 and its `factor`, which has no counterpart in the paper; with its default it
    draws as this layer does with its own, from Beta(1, 1).

    Args:
        alpha: α > 0; 1 in the paper.
        seed: an int, for use outside `tfnn.fit`, which has its own seed.

    Raises:
        ValueError: for an alpha that is not positive; when called without labels, with integer labels that are not one-hot,
            with inputs that are not images, or with masks of another size.

    Example:
        >>> model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        >>> tfnn.fit(model, x, y, epochs=10, augment=tfnn.layers.CutMix())
    """

    def __init__(self, alpha: float = 1.0, seed: int | None = None, name: str = "cutmix", **kwargs: Any) -> None:
        super().__init__(alpha, seed, name=name, **kwargs)

    def check_images(self, x):
        if keras.tree.is_nested(x) or x.shape.rank != 4:
            given = keras.tree.map_structure(lambda a: tuple(a.shape), x)
            raise ValueError(f"{self.name} needs images (batch, height, width, channels), got shape {given}")

    def mixes_labels(self, x, y):
        self.check_images(x)
        self.check_labels(x, y)
        return not all(of_pixels(a, x) for a in keras.tree.flatten(y))

    def augment_batch(self, x, y, sample_weight):
        self.check_images(x)
        self.check_labels(x, y)
        u, centre_y, centre_x = self.uniforms(x, 3)
        inside = boxes(beta(u, self.alpha), centre_y, centre_x, tf.shape(x)[1], tf.shape(x)[2])
        lam = 1 - tf.reduce_mean(tf.cast(inside, tf.float32), [1, 2])

        def paste(a):
            return tf.where(tf.reshape(inside, tf.concat([tf.shape(a)[:3], [1] * (a.shape.rank - 3)], 0)), partner(a), a)

        def mix(a):
            return paste(a) if of_pixels(a, x) else self.mixed_label(a, lam)

        def mix_weight(a):
            return a if a is None else mix(tf.cast(a, tf.float32))

        return paste(x), keras.tree.map_structure(mix, y), keras.tree.map_structure(mix_weight, sample_weight)
