"""Which BatchNorms of a model the layers before them can do the work of."""

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
    """{layer: BatchNorm} where each output of the layer goes to the BatchNorm alone, and all that this takes is theirs.

    Found in a trace of the model: each BatchNorm takes its input through a mark (an identity), so that whatever takes a
    layer's output is either a mark, which tells the BatchNorm, or something else.
    """
    graph, outputs, marks = None, {}, {}
    givers, elsewhere = collections.defaultdict(set), set()  # `elsewhere`: in loops, and in `tf.function`s with a cache

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
    """Whether it gives W x + b of a W of its own, not of one that LoRA adds to."""
    return layer.activation is keras.activations.linear and isinstance(kernel(layer), keras.Variable)


def same_axis(norm, layer, x):
    channels = 1 if getattr(layer, "data_format", None) == "channels_first" else -1
    return (norm.axis - channels) % len(x.shape) == 0


def kernel(layer):
    """The variable with an axis of the layer's outputs."""
    return layer.pointwise_kernel if type(layer) in SEPARABLE else layer.kernel


def along_kernel(layer, s):
    """s (outputs,) in the shape in which it scales the kernel."""
    if type(layer) in DEPTHWISE:
        return s.reshape(layer.kernel.shape[-2:])  # (..., inputs, multiplier)
    if type(layer) in TRANSPOSED:
        return s[:, None]  # (..., outputs, inputs)
    return s  # (..., outputs)
