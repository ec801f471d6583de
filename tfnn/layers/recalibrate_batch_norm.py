"""Measures the moving moments of batch normalisation anew over a data set."""

import contextlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfnn.checks import int32
from tfnn.data.batches import batches
from tfnn.internals.layers import layers_of
from tfnn.layers.standardize import merge
from tfnn.taps import replaced_calls

# with these settings, the moving moments of a layer in training mode are those of the last batch
BATCH_ALONE = {"momentum": 0.0, "renorm": False, "virtual_batch_size": None}


def recalibrate_batch_norm(model: keras.Layer, data: Any, batch_size: int = 128) -> list[keras.Layer]:
    """Sets the moving mean and variance of every BatchNormalization layer to those of its inputs over all of `data`.

    mean = E[x], variance = E[(x − mean)²] over all positions of all examples: batch moments merged in float64, with the
    spread of the batch means in the variance ("precise BatchNorm", Wu & Johnson 2021, arXiv:2105.07576, section 3). Call
    it when weights were averaged (Izmailov et al. 2018, arXiv:1803.05407, section 3.2), or when the moving moments lag
    behind the weights, as after few updates or with large batches.

    While its own moments are measured, each layer normalises by those of the batch. So the moments of the first layer are
    exact, and those of deeper layers depend a little on the batch size: take a large one. All other layers run as at
    inference (dropout is off, as it will be when the moments are used); no other weight or state changes. The layers of
    tfnn and of Keras are found at any depth; frozen ones (`trainable = False`) are skipped.

    Args:
        model: a built Keras model, or a layer.
        data: an array, (x, y), a `tf.data.Dataset` or another source of batches: see `tfnn.data.batches.batches`.
        batch_size: how many examples of an array or a folder to take at a time; other sources have batches of their own.

    Returns:
        The list of layers that were measured: those that ran and are not frozen.

    Raises:
        ValueError: for a model that is not built, a `batch_size` below 1, no data, or data that make a moment NaN or
            infinite. Whatever fails, the model is left as it was.

    Example:
        >>> layers = tfnn.layers.recalibrate_batch_norm(model, x_train)
    """
    int32("batch_size", batch_size, low=1)
    if not model.built:
        raise ValueError(f"model {model.name!r} is not built, so it has no moments: call it on data first")
    layers = [
        layer
        for layer in layers_of(model, include_self=True)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.built and layer.trainable
    ]
    totals: dict[int, list] = {}
    with measuring(layers) as found:

        @tf.function(reduce_retracing=True)
        def measure(x):
            found.clear()
            model(x, training=False)
            return found

        for x in batches(data, batch_size):
            for index, *part in measure(x):
                merge_in(totals, int(index), [value.numpy() for value in part])
    if layers and not totals:
        raise ValueError("recalibrate_batch_norm needs data, got none")
    for index, (_, mean, m2) in totals.items():
        if not (np.isfinite(mean).all() and np.isfinite(m2).all()):
            raise ValueError(f"the inputs of {layers[index].path} are not finite on this data, which leaves no moments")
    for index, (count, mean, m2) in totals.items():
        set_moments(layers[index], mean, m2 / count)
    return [layers[index] for index in sorted(totals)]


@contextlib.contextmanager
def measuring(layers):
    """Inside the block each layer normalises by the batch, and adds (its index, count, mean, Σ deviation²) to the list."""
    found, places = [], {id(layer): index for index, layer in enumerate(layers)}

    def measured(layer, call):
        def run(inputs, training=None, mask=None):
            output = call(inputs, training=True, mask=mask)
            counted = tf.ones_like(inputs) if mask is None else tf.broadcast_to(mask[..., None], tf.shape(inputs))
            count = tf.cast(tf.math.count_nonzero(counted), tf.float64) / inputs.shape[layer.axis]
            mean, variance = (tf.cast(moment.value, tf.float64) for moment in (layer.moving_mean, layer.moving_variance))
            found.append((tf.constant(places[id(layer)]), count, mean, variance * count))
            return output

        return run

    with contextlib.ExitStack() as stack:
        for layer in layers:
            for moving in layer.moving_mean, layer.moving_variance:
                stack.callback(moving.assign, moving.numpy())
            for name, value in BATCH_ALONE.items():
                if hasattr(layer, name):
                    stack.callback(setattr, layer, name, getattr(layer, name))
                    setattr(layer, name, value)
        stack.enter_context(replaced_calls(layers, measured))
        yield found


def merge_in(totals, index, part):
    if part[0]:  # it is 0 where the whole batch is masked
        totals[index] = merge(totals[index], part) if index in totals else part


def set_moments(layer, mean, variance):
    layer.moving_mean.assign(mean)
    layer.moving_variance.assign(variance)
    if getattr(layer, "renorm", False):  # from Keras 3.14 on; it keeps a moving deviation, too
        layer.moving_stddev.assign(np.sqrt(variance + layer.epsilon))
