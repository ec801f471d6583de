"""Standardisation of inputs (lecture, eq. 6)."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfnn.data.batches import batches

ROWS = 128  # of a batch, where a data set gives single rows


def standardize(x, mean, variance):
    """Eq. 6: x̂ = (x − E[x]) / √Var[x]; 0 where a feature is constant and so carries no information. Moments are float64."""
    high = tf.cast(mean, x.dtype)
    low = tf.cast(mean - tf.cast(high, tf.float64), x.dtype)  # the part of a mean far from 0 that x.dtype rounds off
    scale = tf.cast(tf.math.rsqrt(tf.where(variance > 0, variance, 1)), x.dtype)
    return tf.where(variance > 0, ((x - high) - low) * scale, 0)


def unstandardize(x, mean, variance):
    """The inverse of eq. 6: x √Var[x] + E[x]; the constant where a feature is constant."""
    return x * tf.cast(tf.sqrt(variance), x.dtype) + tf.cast(mean, x.dtype)


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
        invert: whether the layer maps the other way, x √Var + E, as for a model that gives standardised targets.

    Raises:
        ValueError: from `adapt`, for no data, for data with NaN or infinity, or for data that do not have the layer's shape.

    Example:
        >>> standardize = tfnn.layers.Standardize()
        >>> standardize.adapt(x_train)
        >>> model = keras.Sequential([keras.Input(x_train.shape[1:]), standardize, keras.layers.Dense(10)])
    """

    def __init__(self, axis: Sequence[int] | int | None = -1, invert: bool = False, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)  # half precision would round numbers far from 0 before they are centred
        self.axis, self.invert = axis, invert

    def build(self, input_shape):
        """Raises ValueError if `axis` is the batch's, has an unknown size, or is beyond the rank of the inputs."""
        rank = len(input_shape)
        axes = () if self.axis is None else np.atleast_1d(self.axis)
        kept = sorted({int(axis) % rank for axis in axes})
        if 0 in kept or any(not -rank <= axis < rank for axis in axes) or any(input_shape[axis] is None for axis in kept):
            raise ValueError(f"axis={self.axis} of inputs of shape {tuple(input_shape)} must be a known axis, not the batch")
        self.reduced = tuple(axis for axis in range(rank) if axis not in kept)
        shape = tuple(input_shape[axis] if axis in kept else 1 for axis in range(rank))
        moment = {"shape": shape, "trainable": False, "autocast": False, "dtype": "float64"}
        self.mean = self.add_weight(name="mean", initializer="zeros", **moment)
        self.variance = self.add_weight(name="variance", initializer="ones", **moment)

    def adapt(self, data: Any) -> None:
        """Sets mean and variance to those of `data`, in float64 and in one pass, so that the data may be larger than memory.

        Args:
            data: an array, a `tf.data.Dataset`, a `PyDataset` or another iterable of batches (of x, or of (x, y)), a
                `tfnn.data.Dataset` (of which the training part counts), or the path of a folder of images: see
                `tfnn.data.batches.batches`. A `tf.data.Dataset` of vectors is one of single rows.
        """
        if isinstance(data, list):
            data = np.asarray(data)
        total = None
        if data is None:
            raise ValueError("adapt needs data, got None")
        if isinstance(data, tf.data.Dataset) and self.is_one_row(data.element_spec):
            data = data.batch(ROWS)
        for batch in batches(data):
            if isinstance(batch, dict):
                raise ValueError(f"adapt takes the inputs of this one layer, got a dict of {sorted(batch)}")
            for x in batches(np.asarray(batch)):
                if x.size:
                    self.check(x)
                    part = moments(x.astype(np.float64), self.reduced)
                    total = part if total is None else merge(total, part)
        if total is None:
            what = f"shape {tuple(data.shape)}" if hasattr(data, "shape") else f"an empty {type(data).__name__}"
            raise ValueError(f"adapt needs data, got {what}")
        count, mean, m2 = total
        if not (np.isfinite(mean).all() and np.isfinite(m2).all()):
            raise ValueError("adapt needs finite data, got NaN or infinity")
        self.mean.assign(mean)
        self.variance.assign(m2 / count)

    def is_one_row(self, spec):
        """Whether a data set gives single rows, as its elements are vectors, or have an axis less than the layer's inputs."""
        x = spec[0] if isinstance(spec, tuple) else spec
        rank = getattr(getattr(x, "shape", None), "rank", None)
        return rank is not None and (rank == 1 or (self.built and rank == len(self.mean.shape) - 1))

    def check(self, x):
        if not self.built:
            self.build((None, *x.shape[1:]))
        shape = tuple(1 if axis in self.reduced else size for axis, size in enumerate(x.shape))
        if shape != tuple(self.mean.shape):
            raise ValueError(f"adapt got data of shape {x.shape}, but the layer has moments of shape {tuple(self.mean.shape)}")

    def call(self, inputs):
        x = inputs if inputs.dtype == tf.float64 else tf.cast(inputs, tf.float32)
        rule = unstandardize if self.invert else standardize
        return tf.cast(rule(x, self.mean.value, self.variance.value), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "axis": self.axis, "invert": self.invert}


def moments(x, axes):
    """Count, mean and sum of squared deviations over `axes`; measured from the first value, so that a constant gives 0."""
    with np.errstate(invalid="ignore"):  # infinity is refused once, at the end
        first = x[tuple(slice(1) if axis in axes else slice(None) for axis in range(x.ndim))]
        shift = (x - first).mean(axes, keepdims=True)
        return x.size // shift.size, first + shift, ((x - first - shift) ** 2).sum(axes, keepdims=True)
