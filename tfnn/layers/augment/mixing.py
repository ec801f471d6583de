"""The common part of MixUp and CutMix: pairs of examples, a λ for each pair, labels that become mixtures."""

import keras
import tensorflow as tf

from tfnn import random
from tfnn.checks import positive


def partner(a):
    """The partner of each example is the one before it in the batch; that of the first is the last."""
    return tf.concat([a[-1:], a[:-1]], 0)


def mixture(a, lam):
    """λ a + (1 − λ) a', where a' is the partner's."""
    lam = tf.cast(tf.reshape(lam, [-1] + [1] * (a.shape.rank - 1)), a.dtype)
    return lam * a + (1 - lam) * partner(a)


def of_pixels(a, images):
    """Whether `a` has a value for each pixel of the images, as a segmentation mask has."""
    if a.shape.rank < 3:
        return False
    if a.shape[1:3] != images.shape[1:3]:
        raise ValueError(f"masks of {tuple(a.shape[1:3])} must have the height and width of the images, {images.shape[1:3]}")
    return True


class Mixing(keras.layers.Layer):
    """Each example is mixed with the one before it in the batch, which shuffling makes a random one."""

    def __init__(self, alpha, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.alpha, self.seed = positive("alpha", alpha), seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def uniforms(self, images, count):
        """`count` numbers for each image, as a list of tensors (B,)."""
        return tf.unstack(random.uniforms(tf.shape(images)[0], count, self.seed_generator), axis=1)

    def check_labels(self, x, y):
        if not keras.tree.flatten(y) or any(a is None for a in keras.tree.flatten(y)):
            raise ValueError(f"{self.name} mixes labels: it needs y, got {y}")
        rows = keras.tree.flatten(x)[0].shape[:1]
        for a in keras.tree.flatten(y):
            if not rows.is_compatible_with(a.shape[:1]):
                raise ValueError(f"{self.name} mixes examples of a batch: y of shape {a.shape} must have {rows[0]}, as x has")

    def mixed_label(self, a, lam):
        if a.dtype.is_floating:
            return mixture(a, lam)
        if a.shape.rank in (1, 3) or a.shape[-1] == 1:  # classes of examples or of pixels
            raise ValueError(f"{self.name} mixes labels: y of {a.dtype.name} {tuple(a.shape)} must be one-hot")
        return mixture(tf.cast(a, tf.float32), lam)

    def call(self, inputs, training=False):
        if not training:
            return inputs
        if not (isinstance(inputs, dict) and {"images", "labels"} <= set(inputs)):
            raise ValueError(f"{self.name} needs labels: call it with a dict of images and labels, or as tfnn.fit(augment=...)")
        rest = dict(inputs)
        images, rest, _ = self.augment_batch(rest.pop("images"), rest, None)
        return {"images": images, **rest}

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha, "seed": self.seed}
