"""A folded model answers as the model does, with fewer BatchNorms, and leaves the model as it was."""

import gc
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

import tfnn
from tfnn.serving import fold_batchnorm
from tfnn.serving.fold_batchnorm import input_specs

L, BatchNorm = keras.layers, tfnn.layers.BatchNormalization
IMAGES = (8, 8, 4)


def randomise(model, seed=0):
    """Biases, γ, β and moving moments away from where they start, where folding wrongly would be seen nowhere."""
    rng = np.random.RandomState(seed)
    for layer in model._flatten_layers():
        if isinstance(layer, L.BatchNormalization):
            for variable in layer.variables:
                low = 0.5 if variable.name in ("gamma", "moving_variance") else -0.5
                variable.assign(rng.uniform(low, 1.5, variable.shape))
        elif getattr(layer, "bias", None) is not None:
            layer.bias.assign(rng.normal(0, 0.5, layer.bias.shape))
    return model


def arrays(specs, rows=3):
    rng = np.random.RandomState(1)
    return keras.tree.map_structure(lambda s: tf.constant(rng.normal(size=(rows, *s.shape[1:])), s.dtype), specs)


def check(model, folded, kept=0, tolerance=1e-5):
    """The error of folding, relative to the largest output; that so many layers were folded; that the model is unmoved."""
    randomise(model)
    before = [weight.numpy() for weight in model.weights]
    network = fold_batchnorm(model)
    assert (len(network.folded), len(network.kept)) == (folded, kept)
    for rows in 3, 1:
        inputs = arrays(input_specs(model), rows)
        assert error(model(inputs, training=False), network(inputs)) < tolerance
    for weight, value in zip(model.weights, before):
        np.testing.assert_array_equal(weight, value)
    assert not any("call" in vars(layer) for layer in model._flatten_layers())
    return network


def error(expected, found):
    keras.tree.assert_same_structure(expected, found)
    pairs = zip(keras.tree.flatten(expected), keras.tree.flatten(found))
    return max(largest_error(np.asarray(y, "f8"), np.asarray(z, "f8")) for y, z in pairs)


def largest_error(y, z):
    assert y.shape == z.shape and y.std() > 0.01 * np.abs(y).max()
    return np.abs(y - z).max() / np.abs(y).max()


# name: (shape of one input, the layer before a BatchNorm, where `bias` is True or False, axis of the channels)
# channels first: where the width of the output is that of the channels, Keras 3.15's Conv2D adds the bias along the width
LAYERS = {
    "Dense": ((5,), lambda bias: L.Dense(6, use_bias=bias), -1),
    "Dense of sequences": ((7, 5), lambda bias: L.Dense(6, use_bias=bias), 2),
    "Conv1D": ((9, 4), lambda bias: L.Conv1D(6, 3, padding="causal", use_bias=bias), -1),
    "Conv2D": (IMAGES, lambda bias: L.Conv2D(6, 3, 2, "same", use_bias=bias), 3),
    "Conv2D, dilated": (IMAGES, lambda bias: L.Conv2D(6, 3, dilation_rate=2, use_bias=bias), -1),
    "Conv2D, grouped": (IMAGES, lambda bias: L.Conv2D(6, 3, groups=2, use_bias=bias), -1),
    "Conv3D": ((5, 4, 5, 2), lambda bias: L.Conv3D(3, 2, use_bias=bias), -1),
    "DepthwiseConv1D": ((9, 4), lambda bias: L.DepthwiseConv1D(3, depth_multiplier=3, use_bias=bias), -1),
    "DepthwiseConv2D": (IMAGES, lambda bias: L.DepthwiseConv2D(3, depth_multiplier=2, use_bias=bias), -1),
    "DepthwiseConv2D, dilated": (IMAGES, lambda bias: L.DepthwiseConv2D(3, dilation_rate=2, use_bias=bias), -1),
    "SeparableConv1D": ((9, 4), lambda bias: L.SeparableConv1D(6, 3, depth_multiplier=2, use_bias=bias), -1),
    "SeparableConv2D": (IMAGES, lambda bias: L.SeparableConv2D(6, 3, 2, "same", use_bias=bias), -1),
    "Conv1DTranspose": ((9, 4), lambda bias: L.Conv1DTranspose(6, 3, 2, use_bias=bias), -1),
    "Conv2DTranspose": (IMAGES, lambda bias: L.Conv2DTranspose(6, 3, 2, "same", use_bias=bias), -1),
    "Conv3DTranspose": ((4, 3, 4, 2), lambda bias: L.Conv3DTranspose(3, 2, use_bias=bias), -1),
    "Conv1D, channels first": ((4, 9), lambda bias: L.Conv1D(6, 3, data_format="channels_first", use_bias=bias), 1),
    "Conv2D, channels first": ((4, 8, 9), lambda bias: L.Conv2D(6, 3, data_format="channels_first", use_bias=bias), 1),
    "DepthwiseConv2D, channels first": (
        (4, 8, 8),
        lambda bias: L.DepthwiseConv2D(3, depth_multiplier=2, data_format="channels_first", use_bias=bias),
        -3,
    ),
}


@pytest.mark.parametrize("bias", (True, False), ids=("bias", "no bias"))
@pytest.mark.parametrize("name", LAYERS)
def test_the_layer_takes_over(name, bias):
    shape, layer, axis = LAYERS[name]
    model = keras.Sequential([keras.Input(shape), layer(bias), L.BatchNormalization(axis=axis), L.ReLU()])
    network = check(model, folded=1, tolerance=2e-6)
    biases = 0 if bias else model.layers[1].moving_mean.shape[0]
    assert sum(v.numpy().size for v in network.variables) == model.layers[0].count_params() + biases


@pytest.mark.parametrize("flags", ({}, {"scale": False}, {"center": False}, {"epsilon": 0.5}, {"renorm": True}), ids=str)
@pytest.mark.parametrize("norm", (L.BatchNormalization, BatchNorm))
def test_norms_of_keras_and_of_tfnn(norm, flags):
    check(keras.Sequential([keras.Input(IMAGES), L.Conv2D(6, 3), norm(**flags)]), folded=1, tolerance=2e-6)


def one(*layers):
    return keras.Sequential([keras.Input(IMAGES), *layers])


def several_inputs():
    a, b = keras.Input(IMAGES, name="a"), keras.Input(IMAGES, name="b")
    x = L.BatchNormalization()(L.Conv2D(6, 3)(a)) + L.BatchNormalization()(L.Conv2D(6, 3)(b))
    return keras.Model({"a": a, "b": b}, {"sum": x, "features": L.BatchNormalization()(L.Conv2D(2, 1)(x))})


def listed_inputs():
    a, b = keras.Input(IMAGES), keras.Input(IMAGES)
    return keras.Model([a, b], [BatchNorm()(L.Conv2D(6, 3)(a)), b])


def nested():
    inner = keras.Sequential([keras.Input(IMAGES), L.Conv2D(4, 3, padding="same"), BatchNorm(), L.ReLU()])
    return one(inner, keras.Sequential([inner, L.Conv2D(3, 1)]), BatchNorm())


def siamese():
    """The tower is called twice, its BatchNorm always behind its convolution."""
    tower = one(L.Conv2D(6, 3), BatchNorm(), L.Flatten())
    a, b = keras.Input(IMAGES), keras.Input(IMAGES)
    return keras.Model([a, b], L.BatchNormalization()(L.Dense(3)(tower(a) * tower(b))))


def with_branches(between=lambda x: x, after=lambda x, y: y, shared=False):
    x = keras.Input(IMAGES)
    conv = L.Conv2D(4, 3)(x)
    norm = BatchNorm()
    y = norm(between(conv))
    return keras.Model(x, after(conv, y) if not shared else [y, norm(L.Conv2D(4, 3)(x))])


def shared_convolution():
    x, conv = keras.Input(IMAGES), L.Conv2D(4, 3)
    return keras.Model(x, [BatchNorm()(conv(x)), BatchNorm()(conv(2 * x))])


class Opaque(keras.layers.Layer):
    """A user's own: Keras knows nothing of what its `call` does."""

    def __init__(self, training=None, **kwargs):
        super().__init__(**kwargs)
        self.conv, self.norm, self.given = L.Conv2D(4, 3, padding="same"), L.BatchNormalization(), training

    def build(self, shape):
        self.conv.build(shape)
        self.norm.build((*shape[:-1], 4))

    def call(self, x):
        return x + keras.ops.relu(self.norm(self.conv(x), training=self.given))


class Compiled(Opaque):
    """Its graph is cached, so that nothing in it can be exchanged."""

    @tf.function
    def call(self, x):
        return super().call(x)


class Standardised(L.Conv2D):
    """Weights that a scale does not reach (Qiao et al. 2019, arXiv:1903.10520)."""

    def call(self, x):
        return self.convolution_op(x, (self.kernel - tf.reduce_mean(self.kernel)) / tf.math.reduce_std(self.kernel))


class Doubled(L.BatchNormalization):
    def call(self, x, training=None, mask=None):
        return 2 * super().call(x, training=training, mask=mask)


def with_lora():
    model = one(L.Dense(4), BatchNorm())
    model.layers[0].enable_lora(2)
    model.layers[0].lora_kernel_b.assign(np.ones((2, 4)))
    return model


def frozen_in_training_mode():
    model = one(Opaque(training=True))
    model.layers[0].norm.trainable = False
    return model


resnet = lambda **options: tfnn.models.resnet((8, 8, 1), 5, depth=8, width=4, **options)
# name: (model, how many BatchNorms are folded, how many stay)
MODELS = {
    "inputs by name": (several_inputs, 3, 0),
    "inputs in a list": (listed_inputs, 1, 0),
    "nested and shared": (nested, 2, 0),
    "siamese": (siamese, 2, 0),
    "layers of a user's own": (lambda: one(Opaque(), Opaque()), 2, 0),
    "behind dropout": (lambda: one(L.Conv2D(4, 3), L.Dropout(0.5), BatchNorm()), 1, 0),
    "frozen, in training mode": (frozen_in_training_mode, 1, 0),
    "convnet": (lambda: tfnn.models.convnet((8, 8, 1), 5, stages=(4, 6), hidden=8), 4, 0),
    "mlp": (lambda: tfnn.models.mlp((8, 8, 1), 5, hidden=(8, 8), normalize=True), 2, 0),
    "resnet": (resnet, 9, 0),
    "resnet, pre-activation": (lambda: resnet(preactivation=True), 3, 4),
    "no BatchNorm": (lambda: one(L.Conv2D(4, 3)), 0, 0),
    # left as they are
    "first": (lambda: one(BatchNorm(), L.Conv2D(4, 3, padding="same")), 0, 1),
    "behind an activation": (lambda: one(L.Conv2D(4, 3, activation="relu"), BatchNorm()), 0, 1),
    "behind padding": (lambda: one(L.Conv2D(4, 3), L.ZeroPadding2D(), BatchNorm()), 0, 1),
    "behind a BatchNorm": (lambda: one(L.Conv2D(4, 3), BatchNorm(), BatchNorm()), 1, 1),
    "over another axis": (lambda: one(L.Conv2D(4, 3), BatchNorm(axis=1)), 0, 1),
    "channels last, over the first": (lambda: one(L.Conv2D(8, 1), BatchNorm(axis=1)), 0, 1),
    "the convolution is an output": (lambda: with_branches(after=lambda conv, y: [conv, y]), 0, 1),
    "the convolution is added": (lambda: with_branches(after=lambda conv, y: conv + y), 0, 1),
    "behind an addition": (lambda: with_branches(lambda conv: conv + 1), 0, 1),
    "one for two convolutions": (lambda: with_branches(shared=True), 0, 1),
    "two for one convolution": (shared_convolution, 0, 2),
    "a cached graph": (lambda: one(Compiled()), 0, 1),
    "over time": (lambda: one(L.TimeDistributed(L.Conv1D(4, 3)), L.TimeDistributed(BatchNorm())), 0, 1),
    "a convolution of a user's own": (lambda: one(Standardised(4, 3), BatchNorm()), 0, 1),
    "a BatchNorm of a user's own": (lambda: one(L.Conv2D(4, 3), Doubled()), 0, 1),
    "LoRA": (with_lora, 0, 1),
    "of another precision": (lambda: one(L.Conv2D(4, 3, dtype="float64"), BatchNorm(dtype="float32")), 0, 1),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_model_answers_the_same(name):
    make, folded, kept = MODELS[name]
    check(make(), folded, kept)


def test_in_training_mode_it_stays():
    network = fold_batchnorm(randomise(one(Opaque(training=True))))
    assert (len(network.folded), len(network.kept)) == (0, 1)
