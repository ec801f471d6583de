"""Finds the BatchNorms of a model that can be folded into the layers before them."""

import collections

import keras
import tensorflow as tf

from tfnn.internals.layers import layers_of
from tfnn.layers import BatchNormalization
from tfnn.taps import replaced_calls

L = keras.layers
# types, not their subclasses, which may do more
NORMS = L.BatchNormalization, BatchNormalization
SEPARABLE = L.SeparableConv1D, L.SeparableConv2D
DEPTHWISE = L.DepthwiseConv1D, L.DepthwiseConv2D
TRANSPOSED = L.Conv1DTranspose, L.Conv2DTranspose, L.Conv3DTranspose
LINEAR = (L.Dense, L.Conv1D, L.Conv2D, L.Conv3D, *SEPARABLE, *DEPTHWISE, *TRANSPOSED)


def foldable(model, specs):
    """{layer: BatchNorm} of all pairs in which the layer's outputs go to the BatchNorm only, which takes nothing else.

    They are found in a trace of the model. Each BatchNorm takes its input through a mark (an identity), so each consumer of
    a layer's output is either a mark, which names the BatchNorm, or something else.
    """
    graph, outputs, marks = None, {}, {}
    givers, elsewhere = collections.defaultdict(set), set()  # `elsewhere`: layers called in loops or in a cached `tf.function`

    def watch(layer, call):
        def linear(*args, **kwargs):
            y = call(*args, **kwargs)
            if tf.compat.v1.get_default_graph() is graph:
                outputs[y.ref()] = layer
            else:
                elsewhere.add(layer)
            return y

        def norm(inputs, training=None, mask=None):
            if tf.compat.v1.get_default_graph() is not graph:
                elsewhere.add(layer)
                return call(inputs, training=training, mask=mask)
            giver = outputs.get(inputs.ref())
            fits = giver and is_linear(giver) and same_axis(layer, giver, inputs) and not (training and layer.trainable)
            givers[layer].add(giver if fits else None)
            mark = tf.identity(inputs)
            marks[mark.op.name] = layer
            return call(mark, training=training, mask=mask)

        return norm if type(layer) in NORMS else linear

    @tf.function(input_signature=[specs], autograph=False)
    def observed(inputs):
        nonlocal graph
        graph = tf.compat.v1.get_default_graph()
        with replaced_calls([layer for layer in layers_of(model, include_self=True) if type(layer) in LINEAR + NORMS], watch):
            return model(inputs, training=False)

    observed.get_concrete_function()
    takers = collections.defaultdict(set)
    for y, layer in outputs.items():
        takers[layer] |= {marks.get(op.name) for op in y.deref().consumers()}
    return {
        layer: norm
        for layer, (norm, *others) in takers.items()
        if not others and givers.get(norm) == {layer} and not {layer, norm} & elsewhere
    }


def is_linear(layer):
    """Whether the layer computes W x + b with a W of its own; with LoRA, W is a sum."""
    return layer.activation is keras.activations.linear and isinstance(kernel(layer), keras.Variable)


def same_axis(norm, layer, x):
    channels = 1 if getattr(layer, "data_format", None) == "channels_first" else -1
    return (norm.axis - channels) % len(x.shape) == 0


def kernel(layer):
    """The variable that has an axis for the layer's outputs."""
    return layer.pointwise_kernel if type(layer) in SEPARABLE else layer.kernel


def along_kernel(layer, s):
    """Reshapes s (outputs,) so that it scales the kernel by broadcasting."""
    if type(layer) in DEPTHWISE:
        return s.reshape(layer.kernel.shape[-2:])  # (..., inputs, multiplier)
    if type(layer) in TRANSPOSED:
        return s[:, None]  # (..., outputs, inputs)
    return s  # (..., outputs)
