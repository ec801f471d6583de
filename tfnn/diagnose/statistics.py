"""Statistics of one tensor in a running network."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

BOUNDS = {"tanh": (-1, 1), "sigmoid": (0, 1)}  # the ranges of saturating activations
NEAR = 0.01  # share of that range; closer to a bound, the slope of tanh or sigmoid is below 4% of its maximum


@dataclasses.dataclass(frozen=True)
class Moments:
    """Mean and variance over examples, positions and units; `size` is the number of values of one example.

    Example:
        >>> tfnn.diagnose.Moments(mean=0.0, variance=1.0, size=64).square
    """

    mean: float
    variance: float
    size: float

    @property
    def square(self):
        """The squared norm of one example's values, on average: size · E[v²]."""
        return self.size * (self.mean**2 + self.variance)


def moments(values, examples):
    """The `Moments` of a float64 array; float32 can hold neither the square of 1e20 nor that of 1e-30."""
    with np.errstate(all="ignore"):  # infinity gives NaN, which the verdict reports
        return Moments(float(values.mean()), float(values.var()), values.size / examples)


def array(tensor):
    return tf.convert_to_tensor(tensor).numpy().astype(np.float64)


def activation_name(layer):
    """The name of a layer's activation, such as "relu" or "tanh"; None if it has none."""
    if isinstance(layer, keras.layers.ReLU):
        return "relu"
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", type(activation).__name__)
    return name if callable(activation) and name != "linear" else None


def dead_share(layer, values):
    """The share of units that are exactly 0 for every example and position.

    None if the layer has no activation, or if one of its outputs is below 0. Units are the last axis, or the second axis of a
    layer with `data_format="channels_first"`.
    """
    if activation_name(layer) is None or not values.min() >= 0:
        return None
    unit = 1 if getattr(layer, "data_format", None) == "channels_first" else max(1, values.ndim - 1)
    return float((values == 0).all(tuple(axis for axis in range(values.ndim) if axis != unit)).mean())


def saturated_share(layer, values):
    """The share of outputs that lie near a bound of tanh or sigmoid (see `NEAR`). None for any other layer."""
    bounds = BOUNDS.get(activation_name(layer))
    if bounds is None or not np.isfinite(values).all():
        return None
    low, high = bounds
    margin = NEAR * (high - low)
    return float(((values < low + margin) | (values > high - margin)).mean())
