import keras
import numpy as np
import pytest
import tensorflow as tf

from tfnn.layers import BatchNormalization, PreactivationBlock


def images():
    return np.random.RandomState(0).normal(size=(2, 7, 6, 4)).astype(np.float32)


def kernels(block):
    return [layer.kernel for path in (block.branch, block.shortcut) for layer in path if isinstance(layer, keras.layers.Conv2D)]


@pytest.mark.parametrize("normalize", [True, False])
def test_block_with_a_branch_of_0_is_the_identity(normalize):
    block = PreactivationBlock(4, normalize=normalize)
    block.build((None, 7, 6, 4))
    kernels(block)[1].assign(np.zeros((3, 3, 4, 4)))
    assert images().min() < 0
    np.testing.assert_array_equal(block(images(), training=True), images())


@pytest.mark.parametrize("normalize, identity", [(False, True), (True, False)])
def test_block_starts_as_the_identity_where_nothing_normalises(normalize, identity):
    assert np.array_equal(PreactivationBlock(4, normalize=normalize)(images(), training=True), images()) == identity


@pytest.mark.parametrize("filters, strides", [(4, 1), (6, 1), (4, 2)])
def test_block_is_figure_4e(filters, strides):
    """x + F(a), or W a + F(a) where the shape changes, with a = ReLU(BatchNorm(x))."""
    block = PreactivationBlock(filters, strides)
    block.build((None, 7, 6, 4))
    x = images()

    def norm(x):  # γ = 1, β = 0
        return (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-3)

    conv = lambda x, kernel, strides=1: tf.nn.conv2d(x, kernel, strides, "SAME").numpy()
    first, second, *projection = kernels(block)
    a = np.maximum(norm(x), 0)
    expected = conv(np.maximum(norm(conv(a, first, strides)), 0), second)
    expected += conv(a, projection[0], strides) if projection else x
    assert bool(projection) == (filters != 4 or strides > 1)
    np.testing.assert_allclose(block(x, training=True), expected, rtol=1e-4, atol=1e-4)


def test_options():
    plain = PreactivationBlock(6, normalize=False, dropout=0.5, activation="tanh")
    plain.build((None, 7, 6, 4))
    assert [type(layer).__name__ for layer in plain.first] == ["Activation"]
    assert [type(layer).__name__ for layer in plain.branch] == ["Conv2D", "Activation", "Dropout", "Conv2D"]
    assert all(layer.use_bias for layer in (plain.branch[0], plain.branch[-1], *plain.shortcut))
    assert not any(isinstance(layer, BatchNormalization) for layer in plain._flatten_layers())


def test_no_two_kernels_start_alike():
    block = PreactivationBlock(4)
    block.build((None, 8, 8, 4))
    first, second = kernels(block)
    assert not np.allclose(first, second)
