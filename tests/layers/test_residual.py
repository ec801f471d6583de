import keras
import numpy as np
import pytest
import tensorflow as tf

from tfnn.layers import PreactivationBlock, ResidualBlock


def images():
    return np.random.RandomState(0).normal(size=(2, 7, 6, 4)).astype(np.float32)


def test_block_starts_as_relu_of_its_input():
    np.testing.assert_allclose(ResidualBlock(4)(images(), training=True), np.maximum(images(), 0), rtol=1e-6)


@pytest.mark.parametrize(
    "filters, strides, shape", [(4, 1, (2, 7, 6, 4)), (8, 1, (2, 7, 6, 8)), (8, 2, (2, 4, 3, 8)), (4, 2, (2, 4, 3, 4))]
)
def test_shapes(filters, strides, shape):
    block = ResidualBlock(filters, strides)
    assert block(images()).shape == shape
    assert bool(block.shortcut) == (strides > 1 or filters != 4)


def test_no_two_kernels_start_alike():
    block = ResidualBlock(4)
    block.build((None, 8, 8, 4))
    first, second = (block.branch[index].kernel.numpy() for index in (0, 3))
    assert not np.allclose(first, second)


def test_branch_learns_once_gamma_moves():
    block = ResidualBlock(4)
    block.build((None, 7, 6, 4))
    block.branch[-1].gamma.assign(np.ones(4))
    assert not np.allclose(block(images(), training=True), np.maximum(images(), 0))


@pytest.mark.parametrize(
    "arguments, message",
    [((0,), "filters=0 and strides=1"), ((4, 0), "filters=4 and strides=0"), ((4, 1, True, 1.5), r"dropout=1.5 .* \[0, 1\]")],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        ResidualBlock(*arguments)


def test_block_without_norm_starts_as_its_activation():
    """By its last kernel, where γ is missing; the first keeps its initializer."""
    block = ResidualBlock(4, normalize=False, activation="tanh")
    np.testing.assert_allclose(block(images(), training=True), np.tanh(images()), rtol=1e-6)
    first, second = (layer for layer in block.branch if isinstance(layer, keras.layers.Conv2D))
    assert np.all(second.kernel == 0) and np.std(first.kernel) > 0.1 and first.use_bias and second.use_bias


@pytest.mark.parametrize("normalize", [True, False])
def test_branch_learns_from_the_first_update_by_its_last_layer(normalize):
    block = ResidualBlock(4, normalize=normalize)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(block(images(), training=True) ** 3)
    gradients = dict(zip((w.path for w in block.trainable_weights), tape.gradient(loss, block.trainable_weights)))
    moving = [path for path, gradient in gradients.items() if np.abs(gradient).max() > 1e-3]
    expected = ["gamma", "beta"] if normalize else ["kernel", "bias"]
    assert [path.split("/")[-1] for path in moving] == expected


def test_dropout_stands_between_the_convolutions_behind_the_activation():
    """Zagoruyko & Komodakis 2016, fig. 1d."""
    block = ResidualBlock(4, dropout=0.3)
    block.build((None, 8, 8, 4))
    names = [type(layer).__name__ for layer in block.branch]
    assert names == ["Conv2D", "BatchNormalization", "Activation", "Dropout", "Conv2D", "BatchNormalization"]
    assert block.branch[3].rate == np.float32(0.3)


def test_training_reaches_the_norms_inside():
    block = ResidualBlock(4)
    block(images(), training=False)
    np.testing.assert_array_equal(block.branch[1].moving_mean, np.zeros(4))
    block(images(), training=True)
    assert np.abs(block.branch[1].moving_mean).min() > 0


@pytest.mark.parametrize("block", [ResidualBlock, PreactivationBlock])
def test_block_can_be_built_while_a_graph_is_traced(block):
    model = keras.Sequential([block(6, 2, dropout=0.4), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(images(), np.zeros(2), verbose=0)
    assert len(tf.function(block(6, 2, dropout=0.4))(images()).shape) == 4
