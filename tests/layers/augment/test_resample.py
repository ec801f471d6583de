"""The gather sampler against numpy's padding and a sum over four pixels in float64."""

import numpy as np
import pytest
import tensorflow as tf

from tfnn.layers.augment.resample import resample

MODES = {"constant": {"constant_values": 9.0}, "nearest": {}, "reflect": {}, "wrap": {}}
NUMPY = {"constant": "constant", "nearest": "edge", "reflect": "symmetric", "wrap": "wrap"}


def reference(image, matrix, size, fill_mode, interpolation, pad=40):
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), NUMPY[fill_mode], **MODES[fill_mode])
    rows = []
    for y in range(size[0]):
        for x in range(size[1]):
            u, v, _ = matrix @ (x, y, 1)
            if interpolation == "nearest":
                rows.append(padded[int(np.floor(v + 0.5)) + pad, int(np.floor(u + 0.5)) + pad])
                continue
            i, j = int(np.floor(v)), int(np.floor(u))
            a, b = v - i, u - j
            four = padded[i + pad : i + pad + 2, j + pad : j + pad + 2]
            rows.append(np.einsum("i,j,ijc->c", [1 - a, a], [1 - b, b], four))
    return np.reshape(rows, (*size, -1))


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("fill_mode", MODES)
@pytest.mark.parametrize("shape, size", [((2, 5, 7, 3), (5, 7)), ((2, 6, 3, 1), (9, 4)), ((2, 1, 1, 2), (3, 3))])
def test_sampler_is_the_sum_over_four_padded_pixels(shape, size, fill_mode, interpolation):
    random = np.random.RandomState(0)
    images = random.normal(size=shape)
    turned = [[1.313, -0.717, -6.13], [0.407, -1.111, 7.37], [0, 0, 1]]
    outside = [[-0.919, 0.103, 19.21], [0.311, 0.803, -5.73], [0, 0, 1]]
    matrices = np.array([turned, outside])
    expected = np.stack([reference(*pair, size, fill_mode, interpolation) for pair in zip(images, matrices)])
    arguments = tf.constant(images, tf.float32), tf.constant(matrices, tf.float32)
    for jit in False, True:
        run = tf.function(lambda x, m: resample(x, m, size, interpolation, fill_mode, 9.0), jit_compile=jit, autograph=False)
        np.testing.assert_allclose(run(*arguments), expected, atol=1e-4)


def test_fill_modes_hold_far_outside_at_any_size():
    """Every whole position over many periods, where a rounded quotient could tip over."""
    for length in (1, 3, 28, 49, 224):
        image = np.arange(length, dtype="float32")[None, None, :, None]
        shift = 5 * length
        matrix = tf.constant([[[1.0, 0, -shift], [0, 1, 0], [0, 0, 1]]])
        for fill_mode in "reflect", "wrap", "nearest":
            got = resample(tf.constant(image), matrix, (1, 11 * length), "bilinear", fill_mode, 0.0)
            expected = np.pad(image[0, 0, :, 0], shift, NUMPY[fill_mode])
            np.testing.assert_array_equal(got[0, 0, :, 0], expected)
