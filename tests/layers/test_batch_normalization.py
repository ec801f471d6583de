"""BatchNormalization against numpy, written from algorithm 1 of Ioffe & Szegedy 2015, and against Keras."""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.needs import RENORM
from tfnn.layers import BatchNormalization, batch_normalization


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
        pytest.param((6, 4, 4, 3), {"renorm": True}, marks=RENORM),
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


def in_turn(layer, batches):
    return tf.concat([layer(part, training=True) for part in batches], 0)


def built(shape, **options):
    layer = BatchNormalization(momentum=0.8, **options)
    layer.build((None, *shape[1:]))
    layer.gamma.assign(np.arange(1, 1 + layer.gamma.shape[0]))
    return layer


@pytest.mark.parametrize(
    "shape, axis", [((12, 5), -1), ((12, 4, 3, 5), -1), ((12, 5, 3, 4), 1), ((12, 3, 5), 2), ((12, 2, 3, 2, 5), -1)]
)
@pytest.mark.parametrize("size, sizes", [(4, [4, 4, 4]), (5, [5, 7]), (3, [3, 3, 3, 3]), (12, [12]), (100, [12]), (11, [12])])
def test_ghosts_are_batches_one_after_another(shape, axis, size, sizes):
    x = batch(shape)
    ghosts, plain = built(shape, axis=axis, virtual_batch_size=size), built(shape, axis=axis)
    np.testing.assert_allclose(ghosts(x, training=True), in_turn(plain, tf.split(x, sizes)), rtol=1e-4, atol=2e-4)
    for ours, theirs in zip(ghosts.weights, plain.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_gradients_of_ghosts_are_those_of_the_parts():
    x, weights = batch((10, 2, 3, 4)), batch((10, 2, 3, 4), 1)
    gradients = []
    for size, parts in (5, [10]), (None, [5, 5]), (None, [10]):
        layer, inputs = built(x.shape, virtual_batch_size=size), tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(in_turn(layer, tf.split(inputs, parts)) * weights)
        gradients.append(tape.gradient(loss, [inputs, layer.gamma.value, layer.beta.value]))
    ghosts, in_parts, whole = gradients
    for a, b in zip(ghosts, in_parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
    assert not np.allclose(ghosts[0], whole[0], atol=1e-2)


def test_one_trace_takes_any_number_of_ghosts():
    layer, plain = built((None, 3), virtual_batch_size=2), built((None, 3))
    run = tf.function(lambda x: layer(x, training=True), input_signature=[tf.TensorSpec([None, 3])])
    for rows, sizes in (4, [2, 2]), (7, [2, 2, 3]), (1, [1]):
        x = batch((rows, 3), rows)
        np.testing.assert_allclose(run(x), in_turn(plain, tf.split(x, sizes)), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(layer.moving_mean, plain.moving_mean, rtol=1e-5)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"virtual_batch_size": 0}, "virtual_batch_size=0 must be"),
        ({"virtual_batch_size": 2.5}, "virtual_batch_size=2.5 must be"),
        ({"virtual_batch_size": 4, "synchronized": True}, "synchronized=True exclude"),
        pytest.param({"virtual_batch_size": 4, "renorm": True}, "renorm=True exclude", marks=RENORM),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        BatchNormalization(**options)


def test_where_keras_has_no_renorm_it_is_named_only_if_asked_for(monkeypatch):
    """As in Keras 3.12 and 3.13; the rest of a configuration that a later version wrote is read."""
    monkeypatch.setattr(keras.layers, "BatchNormalization", type("Earlier", (), {"__init__": lambda self, axis=-1: None}))
    written = {"axis": 1, "renorm": False, "renorm_clipping": None, "renorm_momentum": 0.99}
    assert batch_normalization.known(written) == {"axis": 1}
    with pytest.raises(ValueError, match=rf"^renorm needs Keras 3.14 or later, found {keras.__version__}: "):
        batch_normalization.known({"renorm": True})


def test_ghosts_refuse_a_mask_in_training_only():
    layer, x, mask = BatchNormalization(virtual_batch_size=2), batch((4, 3, 2)), np.ones((4, 3), bool)
    layer(x, mask=mask)
    with pytest.raises(ValueError, match="virtual_batch_size=2 takes no mask"):
        layer(x, training=True, mask=mask)


REPLICAS = """
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

import tfnn

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def step(layer, x, weights):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
        loss = tf.reduce_sum(y * weights)
    return y, *tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])


for shape, offset in ((8, 4, 3, 5), 0), ((8, 5), 0), ((8, 4, 3, 5), 1000):
    random = np.random.RandomState(0)
    x, weights = (random.normal(mean, 1, shape).astype("float32") for mean in (offset, 0))
    whole = tfnn.layers.BatchNormalization()
    expected = step(whole, tf.constant(x.astype("float64"), tf.float32), weights)
    with strategy.scope():
        layer = tfnn.layers.BatchNormalization(synchronized=True)
        layer.build((None, *shape[1:]))
    cut = lambda a: strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(np.split(a, [3])[context.replica_id_in_sync_group])  # 3 and 5 examples
    )
    run = tf.function(lambda x, w: strategy.run(lambda x, w: step(layer, x, w), (x, w)))
    y, dx, dgamma, dbeta = (strategy.experimental_local_results(part) for part in run(cut(x), cut(weights)))
    error = dict(rtol=1e-6, atol=1e-6) if offset == 0 else dict(rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(np.concatenate(y), expected[0], **error)
    np.testing.assert_allclose(np.concatenate(dx), expected[1], **error)
    for ours, theirs in (dgamma, expected[2]), (dbeta, expected[3]):
        np.testing.assert_allclose(sum(ours), theirs, rtol=1e-5, atol=10 * error["atol"])
    for ours, theirs in zip(layer.non_trainable_weights, whole.non_trainable_weights):
        for part in strategy.experimental_local_results(ours.value):
            np.testing.assert_allclose(part, theirs, rtol=1e-6, atol=1e-7)
"""


def test_two_synchronised_replicas_equal_one_with_the_whole_batch():
    """Of unequal shares, and far from 0, where E[x²] − E[x]² would leave nothing of the variance."""
    subprocess.run([sys.executable, "-c", REPLICAS], check=True, cwd=pathlib.Path(__file__).parents[2])
