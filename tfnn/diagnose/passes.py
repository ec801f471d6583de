"""Sends one batch forward through a model and its gradient back, and records both at the layers."""

from typing import NamedTuple

import keras
import tensorflow as tf

from tfnn.internals.layers import layers_of, logits_of
from tfnn.taps import tapped

PASSIVE = (keras.layers.Flatten, keras.layers.Reshape, keras.layers.Permute, keras.layers.Identity)  # they compute nothing
STEPWISE = (keras.layers.RNN, keras.layers.TimeDistributed)  # they call what is inside them once for each step


class Passes(NamedTuple):
    """All that a training step computes before its update.

    `layers` are in the order in which they ran, each as often as it ran. `outputs` and `gradients` belong to them; a gradient
    is None if the loss does not depend on the output. All gradients are multiplied by `scale`, the optimizer's loss scale.
    """

    loss: tf.Tensor
    predictions: list
    layers: list
    outputs: list
    gradients: list
    weight_gradients: list
    scale: float


def forward_and_back(model, x, y, sample_weight):
    layers, outputs, logits = [], [], []

    def tap(layer, inputs, output):
        tensor = first_float(output)
        if tensor is not None and has_row(layer, layers):
            tape.watch(tensor)
            layers.append(layer)
            outputs.append(tensor)
            logits.append(logits_of(tensor))
        return output

    scale = model.optimizer.scale_loss if model.optimizer is not None else tf.identity
    with tf.GradientTape() as tape, tapped(watched(model), tap):
        predictions = model(x, training=True)
        loss = model.compute_loss(x, y, predictions, sample_weight, training=True)
        scaled = scale(loss)
    of_outputs, of_logits, of_weights = tape.gradient(scaled, [outputs, logits, model.trainable_weights])
    gradients = [b if a is None else a for a, b in zip(of_outputs, of_logits)]  # Keras's losses bypass a softmax
    return Passes(loss, keras.tree.flatten(predictions), layers, outputs, gradients, of_weights, float(scale(tf.ones([]))))


def watched(model):
    stepped = {id(inner) for layer in layers_of(model) if isinstance(layer, STEPWISE) for inner in layers_of(layer)}
    return [layer for layer in layers_of(model) if id(layer) not in stepped and not isinstance(layer, PASSIVE)]


def first_float(output):
    """The first floating tensor in an output; None if the layer runs inside a graph, or gives integers or nothing."""
    for tensor in keras.tree.flatten(output):
        eager = isinstance(tensor, tf.Tensor) and hasattr(tensor, "numpy")
        if eager and tensor.dtype.is_floating and tensor.shape.rank and tensor.shape.num_elements():
            return tensor
    return None


def has_row(layer, ran):
    """Whether a layer has weights of its own, or contains no layer that has run."""
    return bool(own_weights(layer, ran)) or not any(inner in ran for inner in layers_of(layer))


def own_weights(layer, ran):
    """The weights of a layer, without those of layers inside it that have run."""
    left = {id(weight) for inner in layers_of(layer) if inner in ran for weight in inner.weights}
    return [weight for weight in layer.weights if id(weight) not in left]
