"""BatchNormalization against numpy, written from algorithm 1 of Ioffe & Szegedy 2015, and against Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfnn.layers import BatchNormalization


def batch(shape, seed=0):
    return np.random.RandomState(seed).normal(3, 2, shape).astype(np.float32)


def algorithm_1(x, gamma, beta, epsilon, axes):
    mean = x.mean(axes, keepdims=True)
    biased = ((x - mean) ** 2).mean(axes, keepdims=True)
    return gamma * (x - mean) / np.sqrt(biased + epsilon) + beta, mean.ravel(), biased.ravel()


@pytest.mark.parametrize("shape", [(6, 5), (3, 4, 5), (4, 3, 2, 5), (2, 1, 1, 5)])
def test_training_is_algorithm_1(shape):
    layer = BatchNormalization(momentum=0.75, epsilon=0.01)
    layer.build(shape)
    layer.gamma.assign(np.arange(1, 6))
    layer.beta.assign(np.arange(5))
    x = batch(shape)
    y, mean, variance = algorithm_1(x.astype(np.float64), np.arange(1, 6), np.arange(5), 0.01, tuple(range(x.ndim - 1)))
    np.testing.assert_allclose(layer(x, training=True), y, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(layer.moving_mean, 0.25 * mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, 0.75 + 0.25 * variance, rtol=1e-4)


def test_the_moving_variance_is_biased_unlike_the_kernels():
    """Of 2 values the unbiased variance is twice the biased one: the kernel's own would fail this by far."""
    layer = BatchNormalization(momentum=0.0)
    layer(np.array([[[[0.0]]], [[[2.0]]]], np.float32), training=True)
    np.testing.assert_allclose(layer.moving_variance, [1.0], rtol=1e-6)


@pytest.mark.parametrize(
    "shape, options",
    [
        ((6, 4, 4, 3), {}),
        ((6, 4, 4, 3), {"scale": False}),
        ((6, 4, 4, 3), {"center": False}),
        ((6, 5), {}),
        ((6, 3, 4, 4), {"axis": 1}),
        ((6, 4, 4, 3), {"renorm": True}),
    ],
)
def test_output_gradients_and_statistics_are_keras_s(shape, options):
    x, weights = tf.constant(batch(shape)), batch(shape, 1)
    results = []
    for cls in BatchNormalization, keras.layers.BatchNormalization:
        layer = cls(**options)
        layer.build(shape)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(y * weights)
        gradients = tape.gradient(loss, [x, *layer.trainable_weights])
        results.append([y, *gradients, *layer.weights, layer(x, training=False)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-4)


def test_masked_steps_do_not_count():
    x, mask = batch((2, 4, 3)), np.array([[1, 1, 0, 0], [1, 1, 1, 0]], bool)
    ours, theirs = BatchNormalization(), keras.layers.BatchNormalization()
    for layer in ours, theirs:
        layer(x, training=True, mask=mask)
    np.testing.assert_allclose(ours.moving_mean, theirs.moving_mean)


def test_frozen_means_inference():
    layer = BatchNormalization()
    layer.build((None, 4, 4, 3))
    layer.trainable = False
    x = batch((2, 4, 4, 3))
    np.testing.assert_allclose(layer(x, training=True), layer(x, training=False))
    np.testing.assert_array_equal(layer.moving_mean, np.zeros(3))


def test_images_of_low_precision_are_not_upcast():
    layer = BatchNormalization(dtype="mixed_bfloat16")
    layer.build((None, 4, 4, 3))
    graph = tf.function(lambda x: layer(x, training=True)).get_concrete_function(tf.TensorSpec([2, 4, 4, 3], tf.bfloat16)).graph
    (kernel,) = [op for op in graph.get_operations() if op.type == "FusedBatchNormV3"]
    assert kernel.inputs[0].dtype == tf.bfloat16
    assert layer.moving_mean.dtype == "float32"
