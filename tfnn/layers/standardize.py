"""Standardisation of inputs (lecture, eq. 6)."""

import keras
import numpy as np
import tensorflow as tf


def standardize(x, mean, variance):
    """Eq. 6: x̂ = (x − E[x]) / √Var[x]; 0 where a feature is constant, which has nothing to say."""
    return tf.where(variance > 0, (x - mean) * tf.math.rsqrt(tf.where(variance > 0, variance, 1.0)), 0.0)


def merge(a, b):
    """Count, mean and sum of squared deviations of two parts together (Chan, Golub & LeVeque 1979)."""
    (n_a, mean_a, m2_a), (n_b, mean_b, m2_b) = a, b
    n, delta = n_a + n_b, mean_b - mean_a
    return n, mean_a + delta * (n_b / n), m2_a + m2_b + delta**2 * (n_a * n_b / n)


@keras.saving.register_keras_serializable("tfnn")
class Standardize(keras.layers.Layer):
    """x̂ = (x − E[x]) / √Var[x] (lecture, eq. 6), with the moments of the training data, which `adapt` measures.

    The moments are weights that no gradient changes: they travel with the saved model. A constant feature gives 0.

    Args:
        axis: the axis or axes with moments of their own, as in `keras.layers.Normalization`: -1 for one pair per
            feature or channel, None for one pair in all.

    Raises:
        ValueError: from `adapt`, for no data or for data with NaN or infinity.

    Example:
        >>> standardize = tfnn.layers.Standardize()
        >>> standardize.adapt(x_train)
        >>> model = keras.Sequential([keras.Input(x_train.shape[1:]), standardize, keras.layers.Dense(10)])
    """

    CHUNK = 4096  # rows turned to float64 at a time, so that memory stays bounded

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape):
        """Raises ValueError where `axis` is that of the batch or of unknown size."""
        rank = len(input_shape)
        axes = () if self.axis is None else np.atleast_1d(self.axis)
        kept = sorted({int(axis) % rank for axis in axes})
        if 0 in kept or any(input_shape[axis] is None for axis in kept):
            raise ValueError(f"axis={self.axis} of inputs of shape {tuple(input_shape)} must be a known axis, not the batch")
        self.reduced = tuple(axis for axis in range(rank) if axis not in kept)
        shape = tuple(input_shape[axis] if axis in kept else 1 for axis in range(rank))
        moment = {"shape": shape, "trainable": False, "autocast": False, "dtype": "float32"}
        self.mean = self.add_weight(name="mean", initializer="zeros", **moment)
        self.variance = self.add_weight(name="variance", initializer="ones", **moment)

    def adapt(self, data):
        """Sets mean and variance to those of an array (examples first), in float64 and one pass."""
        data = np.asarray(data)
        if data.size == 0:
            raise ValueError(f"adapt needs data, got an array of shape {data.shape}")
        if not self.built:
            self.build((None, *data.shape[1:]))
        total = None
        for start in range(0, len(data), self.CHUNK):
            part = self.moments(data[start : start + self.CHUNK].astype(np.float64))
            total = part if total is None else merge(total, part)
        count, mean, m2 = total
        if not (np.isfinite(mean).all() and np.isfinite(m2).all()):
            raise ValueError("adapt needs finite data, got NaN or infinity")
        variance = m2 / count
        rounding = (8 * np.finfo(np.float64).eps * np.abs(mean)) ** 2  # what a constant leaves over of itself
        self.mean.assign(mean)
        self.variance.assign(np.where(variance > rounding, variance, 0))

    def moments(self, x):
        with np.errstate(invalid="ignore"):  # infinity is refused once, in the end
            mean = x.mean(self.reduced, keepdims=True)
            return x.size / mean.size, mean, ((x - mean) ** 2).sum(self.reduced, keepdims=True)

    def call(self, inputs):
        x = standardize(tf.cast(inputs, tf.float32), self.mean.value, self.variance.value)
        return tf.cast(x, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}
