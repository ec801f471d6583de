"""Matrices, and the layers that make them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfnn import layers
from tfnn.layers.augment import affine


def images(rows=3, height=8, width=8, channels=2, dtype="float32"):
    return np.random.RandomState(0).uniform(0, 255, (rows, height, width, channels)).astype(dtype)


def smooth(rows=2, height=24, width=20):
    """Waves of at least 20 pixels, which bilinear interpolation follows to 2 %."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(2 * np.pi * (x / 20 + phase)) + np.cos(2 * np.pi * (y / 24 - phase)) for phase in range(rows)]
    return np.stack(waves).astype("float32")[..., None]


def act(layer, x):
    return np.asarray(layer(x, training=True))


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("quarters", [-3, -2, -1, 0, 1, 2, 3, 4])
@pytest.mark.parametrize("size", [8, 7])
def test_a_quarter_turn_is_rot90_exactly(quarters, size, dtype):
    x = images(height=size, width=size, dtype=dtype)
    turned = act(layers.RandomRotation((quarters / 4, quarters / 4)), x)
    assert turned.dtype == x.dtype
    np.testing.assert_array_equal(turned, np.rot90(x, quarters, axes=(1, 2)))


def test_translation_by_whole_pixels_is_a_slice():
    x = images()
    moved = act(layers.RandomTranslation((0.25, 0.25), (-0.125, -0.125), "constant", fill_value=7.0), x)
    np.testing.assert_array_equal(moved[:, 2:, :-1], x[:, :-2, 1:])
    assert (moved[:, :2] == 7).all() and (moved[:, :, -1:] == 7).all()


@pytest.mark.parametrize("mode, axes", [("horizontal", [2]), ("vertical", [1]), ("horizontal_and_vertical", [1, 2])])
def test_reflection_is_a_flip_of_half_of_the_images_and_an_involution(mode, axes):
    x = images(400, 3, 4)
    transform = layers.RandomFlip(mode, seed=3).draw(x)
    y = np.asarray(transform.images(x))
    np.testing.assert_array_equal(transform.images(y), x)
    ways = [axes[:k] for k in range(len(axes) + 1)] + ([[2]] if len(axes) == 2 else [])  # none, one, the other, both
    found = [np.mean([np.array_equal(a, np.flip(b, way)) for a, b in zip(y[:, None], x[:, None])]) for way in ways]
    share = 1 / len(ways)
    np.testing.assert_allclose(found, share, atol=5 * np.sqrt(share * (1 - share) / len(x)))


def test_zoom_by_two_repeats_each_pixel():
    x = images()
    y = act(layers.RandomZoom((-0.5, -0.5), interpolation="nearest"), x)
    np.testing.assert_array_equal(y, x[:, 2:6, 2:6].repeat(2, axis=1).repeat(2, axis=2))


def test_random_crop_takes_a_window_of_each_image_and_the_middle_at_test():
    x = images(200)
    layer = layers.RandomCrop(6, 5, seed=1)
    windows = [[x[:, i : i + 6, j : j + 5] for j in range(4)] for i in range(3)]
    y = act(layer, x)
    found = np.array([[(y == window).all((1, 2, 3)) for window in row] for row in windows])  # (3, 4, B)
    assert (found.sum((0, 1)) == 1).all()
    expected, spread = len(x) / 12, np.sqrt(len(x) * (1 / 12) * (11 / 12))
    np.testing.assert_allclose(found.sum(2), expected, atol=5 * spread)
    np.testing.assert_array_equal(layer(x), x[:, 1:7, 1:6])


def test_random_crop_with_padding_shows_the_padding():
    x = images(200)
    y = act(layers.RandomCrop(8, 8, padding=2, fill_mode="constant", fill_value=-1.0), x)
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=-1)
    found = [(y == padded[:, i : i + 8, j : j + 8]).all((1, 2, 3)) for i in range(5) for j in range(5)]
    assert (np.sum(found, 0) == 1).all()
    np.testing.assert_array_equal(layers.RandomCrop(8, 8, padding=2)(x), x)


def test_a_resized_crop_of_everything_is_a_resize():
    x = images(height=8, width=8)
    y = act(layers.RandomResizedCrop(4, 4, scale=(1, 1), ratio=(1, 1)), x)
    np.testing.assert_allclose(y, tf.image.resize(x, (4, 4)), rtol=1e-5)
    y = act(layers.RandomResizedCrop(16, 16, scale=(1, 1), ratio=(1, 1)), x)
    np.testing.assert_allclose(y, tf.image.resize(x, (16, 16)), rtol=1e-4)


def test_a_resized_crop_has_the_asked_area_and_ratio_and_lies_within():
    layer = layers.RandomResizedCrop(10, 10, scale=(0.1, 0.3), ratio=(0.5, 2))
    matrix = layer.draw(np.zeros((2000, 60, 60, 1), "float32")).matrix.numpy().astype(float)
    w, h = 10 * matrix[:, 0, 0], 10 * matrix[:, 1, 1]
    area, ratio = w * h / 60**2, np.log2(w / h)
    for value, low, high in (area, 0.1, 0.3), (ratio, -1, 1):
        assert low - 1e-5 <= value.min() and value.max() <= high + 1e-5
        np.testing.assert_allclose(value.mean(), (low + high) / 2, atol=5 * (high - low) / np.sqrt(12 * 2000))
    left, top = (matrix[:, i, 2] + 0.5 - matrix[:, i, i] / 2 for i in (0, 1))
    assert left.min() >= -1e-4 and (left + w).max() <= 60 + 1e-4 and top.min() >= -1e-4 and (top + h).max() <= 60 + 1e-4


def test_a_resized_crop_at_test_is_the_largest_window_in_the_middle():
    x = images(height=8, width=12)
    np.testing.assert_allclose(layers.RandomResizedCrop(8, 8)(x), x[:, :, 2:10], rtol=1e-5)
    np.testing.assert_array_equal(layers.RandomResizedCrop(8, 12)(x), x)


def test_inverse_undoes_any_matrix():
    rotation = affine.about(affine.rotation(tf.constant([0.1, 0.7])), 3.0, 5.0)
    matrix = affine.product(affine.product(rotation, affine.scaling(1.3, 0.7)), affine.shear(0.2, tf.constant([0.1, 0.0])))
    identity = affine.product(matrix, affine.inverse(matrix))
    np.testing.assert_allclose(identity, np.stack([np.eye(3)] * 2), atol=1e-5)


def test_product_is_that_of_matrices():
    a, b = np.random.RandomState(0).normal(size=(2, 5, 3, 3)).astype("float32")
    np.testing.assert_allclose(affine.product(tf.constant(a), tf.constant(b)), a @ b, rtol=1e-4, atol=1e-5)


KERAS_PAIRS = {
    "translation": ("RandomTranslation", {"height_factor": (0.13, 0.13), "width_factor": (-0.21, -0.21)}),
    "rotation": ("RandomRotation", {"factor": (0.07, 0.07)}),
    "zoom in": ("RandomZoom", {"height_factor": (-0.3, -0.3)}),
    "zoom out": ("RandomZoom", {"height_factor": (0.23, 0.23), "width_factor": (0.41, 0.41)}),
}


@pytest.mark.parametrize("fill_mode", ["reflect", "nearest", "constant", "wrap"])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("name", KERAS_PAIRS)
def test_the_picture_is_that_of_keras(name, interpolation, fill_mode):
    cls, arguments = KERAS_PAIRS[name]
    arguments = {**arguments, "fill_mode": fill_mode, "interpolation": interpolation, "fill_value": 0.5}
    x = smooth()
    ours, theirs = (act(getattr(module, cls)(**arguments), x) for module in (layers, keras.layers))
    difference = np.abs(ours - theirs)
    if fill_mode == "wrap":  # TensorFlow's kernel does not interpolate over the seam
        assert np.mean(difference > 1e-4) < 0.12
    elif interpolation == "nearest":  # a source half-way between two pixels may be rounded to either
        assert np.mean(difference > 1e-4) < 0.01
    else:
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert np.abs(ours - x).mean() > 0.05


def test_shear_is_that_of_keras_with_one_of_the_signs():
    x = smooth(1)
    theirs = act(keras.layers.RandomShear((0.2, 0.2), 0.0), x)
    ours = [act(layers.RandomShear((0.2, 0.2), seed=seed), x) for seed in range(12)]
    assert min(np.abs(y - theirs).max() for y in ours) < 1e-4
    assert np.abs(theirs - x).mean() > 0.05
