import numpy as np
import pytest

from tfnn.layers import ResidualBlock


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


@pytest.mark.parametrize("filters, strides", [(0, 1), (4, 0)])
def test_refuses(filters, strides):
    with pytest.raises(ValueError, match=f"filters={filters} and strides={strides}"):
        ResidualBlock(filters, strides)


def test_training_reaches_the_norms_inside():
    block = ResidualBlock(4)
    block(images(), training=False)
    np.testing.assert_array_equal(block.branch[1].moving_mean, np.zeros(4))
    block(images(), training=True)
    assert np.abs(block.branch[1].moving_mean).min() > 0
