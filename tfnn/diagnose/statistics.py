"""What is read off one tensor of a running network."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

BOUNDS = {"tanh": (-1, 1), "sigmoid": (0, 1)}  # between which a saturating activation lies
NEAR = 0.01  # of that range: so near its bounds the slope of tanh or sigmoid is below 4% of its greatest


@dataclasses.dataclass(frozen=True)
class Moments:
    """Mean and variance over examples, positions and units; `size` is the number of values of one example."""

    mean: float
    variance: float
    size: float

    @property
    def square(self):
        """The squared norm of one example's values, on average: size · E[v²]."""
        return self.size * (self.mean**2 + self.variance)


def moments(values, examples):
    """Of a float64 array: float32 holds neither the square of 1e20 nor that of 1e-30."""
    with np.errstate(all="ignore"):  # infinity gives NaN, which the verdict tells
        return Moments(float(values.mean()), float(values.var()), values.size / examples)


def array(tensor):
    return tf.convert_to_tensor(tensor).numpy().astype(np.float64)


def activation_name(layer):
    """Such as "relu" or "tanh"; None for a layer without an activation."""
    if isinstance(layer, keras.layers.ReLU):
        return "relu"
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", type(activation).__name__)
    return name if callable(activation) and name != "linear" else None


def dead_share(layer, values):
    """The share of units that give exactly 0 for every example and position, where an activation never goes below 0.

    Units are the last axis, or the second of a layer with `data_format="channels_first"`. None for any other layer.
    """
    if activation_name(layer) is None or not values.min() >= 0:
        return None
    unit = 1 if getattr(layer, "data_format", None) == "channels_first" else max(1, values.ndim - 1)
    return float((values == 0).all(tuple(axis for axis in range(values.ndim) if axis != unit)).mean())


def saturated_share(layer, values):
    """The share of outputs of a tanh or sigmoid within `NEAR` of their range from its bounds. None for any other layer."""
    bounds = BOUNDS.get(activation_name(layer))
    if bounds is None or not np.isfinite(values).all():
        return None
    low, high = bounds
    margin = NEAR * (high - low)
    return float(((values < low + margin) | (values > high - margin)).mean())
