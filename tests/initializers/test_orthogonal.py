"""Orthogonal: each matrix that a kernel holds has orthonormal rows or columns."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfnn.initializers import Orthogonal

# name: (shape, arguments, the kernel as a list of matrices from the inputs of a unit to the outputs)
KERNELS = {
    "tall": ((7, 4), {}, lambda w: [w]),
    "wide": ((4, 7), {}, lambda w: [w]),
    "2-D": ((3, 2, 5, 4), {}, lambda w: [w.reshape(30, 4)]),
    "grouped": ((3, 2, 1, 24), {"groups": 3}, lambda w: [w[..., 8 * g : 8 * g + 8].reshape(6, 8) for g in range(3)]),
    "depthwise": ((3, 2, 5, 4), {"kernel": "depthwise"}, lambda w: [w[:, :, c].reshape(6, 4) for c in range(5)]),
    "depthwise, wide": ((2, 1, 5, 4), {"kernel": "depthwise"}, lambda w: [w[:, :, c].reshape(2, 4) for c in range(5)]),
    "transposed": ((3, 2, 4, 5), {"kernel": "transposed"}, lambda w: [w.transpose(0, 1, 3, 2).reshape(30, 4)]),
    "heads": ((9, 2, 3), {"input_axes": [0], "output_axes": [-2, -1]}, lambda w: [w.reshape(9, 6)]),
}


def orthonormal(w, gain=1.0):
    small = w @ w.T if w.shape[0] < w.shape[1] else w.T @ w
    return np.allclose(small, gain**2 * np.eye(len(small)), atol=1e-5)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("gain", [1.0, 2.0])
def test_each_matrix_is_orthonormal(name, gain):
    shape, arguments, matrices = KERNELS[name]
    w = np.asarray(Orthogonal(gain, seed=1, **arguments)(shape))
    assert w.shape == shape
    assert all(orthonormal(matrix, gain) for matrix in matrices(w))
    plain = np.asarray(Orthogonal(gain, seed=1)(shape))
    assert all(orthonormal(matrix, gain) for matrix in matrices(plain)) == (not arguments)


def test_the_blocks_differ():
    w = np.asarray(Orthogonal(seed=1, kernel="depthwise")((3, 2, 5, 4)))
    assert not np.allclose(w[:, :, 0], w[:, :, 1])


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float16", 2e-3), ("bfloat16", 2e-2)])
def test_every_float_dtype(dtype, tolerance):
    w = Orthogonal(seed=1)((16, 8), dtype)
    assert w.dtype == dtype
    w = tf.cast(w, "float64").numpy()
    np.testing.assert_allclose(w.T @ w, np.eye(8), atol=tolerance)


def test_signs_are_uniform():
    """Without the signs of R's diagonal LAPACK's Q has a negative first entry always: 400 fair coins, 5 standard errors."""
    positive = np.mean([np.asarray(Orthogonal(seed=seed)((2, 2)))[0, 0] > 0 for seed in range(400)])
    assert abs(positive - 0.5) < 5 * 0.5 / np.sqrt(400)
    q, _ = tf.linalg.qr(keras.random.normal((400, 2, 2), seed=1))
    assert abs(np.mean(q[:, 0, 0] > 0) - 0.5) > 5 * 0.5 / np.sqrt(400)


def test_an_orthogonal_linear_net_keeps_the_length_of_its_input():
    """Saxe et al. 2014: all singular values of the product are 1, where those of normal kernels spread with depth."""
    product = lambda make: np.linalg.multi_dot([np.asarray(make(seed)((20, 20)), np.float64) for seed in range(30)])
    np.testing.assert_allclose(np.linalg.svd(product(lambda seed: Orthogonal(seed=seed)))[1], 1, atol=1e-4)
    spread = np.linalg.svd(product(lambda seed: keras.initializers.LecunNormal(seed=seed)))[1]
    assert spread[0] / spread[-1] > 1e3
