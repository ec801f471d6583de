"""Colour, noise and occlusion against numpy and colorsys."""

import colorsys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfnn import layers
from tfnn.layers.augment.gaussian_noise import normals
from tfnn.layers.augment.hue import rotate_hue
from tfnn.layers.augment.saturation import saturate


def images(rows=3, channels=3, dtype="float32"):
    return np.random.RandomState(0).uniform(0, 255, (rows, 6, 5, channels)).astype(dtype)


def act(layer, x):
    return np.asarray(layer(x, training=True))


@pytest.mark.parametrize("factor", [-1.0, -0.3, 0.2, 1.0])
@pytest.mark.parametrize("value_range", [(0, 255), (0, 1), (-1, 1)])
def test_brightness_adds_a_share_of_the_range_as_in_keras(factor, value_range):
    low, high = value_range
    x = low + (high - low) * images() / 255
    y = act(layers.RandomBrightness((factor, factor), value_range), x)
    np.testing.assert_allclose(y, np.clip(x + factor * (high - low), low, high), atol=1e-5 * (high - low))
    np.testing.assert_allclose(
        y, act(keras.layers.RandomBrightness((factor, factor), value_range), x), atol=1e-5 * (high - low)
    )


def test_contrast_scales_the_distance_from_each_channels_mean():
    x = 100 + images() / 5
    y = act(layers.RandomContrast((0.0, 1.0), seed=1), x)
    mean = x.mean((1, 2), keepdims=True)
    factors = np.median((y - mean) / (x - mean), axis=(1, 2, 3), keepdims=True)
    assert len(np.unique(factors)) == len(x) and (factors > 1).all() and (factors < 2).all()
    np.testing.assert_allclose(y, (x - mean) * factors + mean, atol=1e-2)
    theirs = keras.layers.RandomContrast(0.5).transform_images(x, {"contrast_factor": factors})
    np.testing.assert_allclose(y, theirs, atol=1e-2)


def test_a_single_contrast_factor_reaches_to_both_sides():
    assert layers.RandomContrast(0.25).limits == (0.75, 1.25)
    keras_own = keras.layers.RandomContrast(0.25)
    assert (1 - keras_own.factor[0], 1 + keras_own.factor[1]) == (1, 1.25)  # "[1.0 - lower, 1.0 + upper]" says its text


GREYS = [[0, 0, 0], [1, 1, 1], [0.4, 0.4, 0.4]]
COLOURS = np.concatenate([np.random.RandomState(0).uniform(size=(60, 3)), np.eye(3), 1 - np.eye(3), GREYS])


@pytest.mark.parametrize("turns", [-0.5, -0.1, 0.0, 0.25, 0.5])
def test_hue_turns_as_colorsys_does(turns):
    hsv = [colorsys.rgb_to_hsv(*rgb) for rgb in COLOURS]
    expected = [colorsys.hsv_to_rgb((h + turns) % 1, s, v) for h, s, v in hsv]
    np.testing.assert_allclose(rotate_hue(tf.constant(COLOURS, tf.float32), turns), expected, atol=1e-5)


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.7, 1e7])
def test_saturation_scales_as_colorsys_does(factor):
    hsv = [colorsys.rgb_to_hsv(*rgb) for rgb in COLOURS]
    expected = [colorsys.hsv_to_rgb(h, min(s * factor, 1), v) for h, s, v in hsv]
    np.testing.assert_allclose(saturate(tf.constant(COLOURS, tf.float32), factor), expected, atol=1e-5)


def test_saturation_and_hue_are_those_of_keras():
    x = images() / 255
    for factor in 0.0, 0.3, 0.6:
        ours, theirs = (act(module.RandomSaturation((factor, factor), (0, 1)), x) for module in (layers, keras.layers))
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    theirs = act(keras.layers.RandomHue((0.3, 0.3), (0, 1)), x)  # each image by +0.15 or −0.15 turns
    apart = [np.abs(rotate_hue(x, turns) - theirs).max((1, 2, 3)) for turns in (0.15, -0.15)]
    np.testing.assert_allclose(np.min(apart, 0), 0, atol=1e-4)
    assert np.max(apart, 0).min() > 0.1


def test_a_saturation_of_a_half_and_a_hue_of_0_leave_images():
    x = images()
    np.testing.assert_allclose(act(layers.RandomSaturation((0.5, 0.5)), x), x, rtol=1e-4)
    np.testing.assert_allclose(act(layers.RandomHue(0.0), x), x, rtol=1e-4, atol=1e-3)


def test_noise_has_the_asked_deviation_and_no_correlation():
    x = np.full((8, 32, 31, 3), 100.0, "float32")
    noise = (act(layers.RandomGaussianNoise(0.05, seed=0), x) - x).astype(float)
    n = noise.size
    assert abs(noise.mean()) < 5 * 12.75 / np.sqrt(n)
    assert abs(noise.std() / 12.75 - 1) < 5 / np.sqrt(2 * n)
    assert abs(((noise / 12.75) ** 4).mean() - 3) < 5 * np.sqrt(96 / n)
    for a, b in (noise[:-1], noise[1:]), (noise[:, :-1], noise[:, 1:]), (noise[:, :, :-1], noise[:, :, 1:]):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 5 / np.sqrt(a.size)


def test_each_image_draws_a_deviation_of_its_own():
    x = np.full((50, 16, 16, 1), 0.5, "float32")
    stddev = act(layers.RandomGaussianNoise((0, 0.1), (0, 1), seed=0), x).std((1, 2, 3))
    assert stddev.min() < 0.03 and 0.07 < stddev.max() < 0.12


def test_normals_are_box_and_mullers():
    u = np.random.RandomState(0).uniform(size=(2, 8)).astype("float32")
    radius, angle = np.sqrt(-2 * np.log(1 - u[:, :4])), 2 * np.pi * u[:, 4:]
    expected = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], 1)
    np.testing.assert_allclose(normals(tf.constant(u)), expected, atol=1e-5)
    assert np.isfinite(normals(tf.constant([[0.0, 0.0, 1 - 2**-24, 1 - 2**-24]]))).all()


@pytest.mark.parametrize("share, rows, columns", [(0.25, 8, 6), (1.0, 16, 12), (0.0, 0, 0)])
def test_occlusion_covers_the_asked_area(share, rows, columns):
    x = images(1).repeat(300, 0)[:, :1, :1] + np.zeros((300, 16, 12, 3), "float32")
    y = act(layers.RandomErasing(scale=(share, share), fill_value=-5.0), x)
    covered = (y == -5).all(-1)
    assert (covered.sum((1, 2)) == rows * columns).all()
    np.testing.assert_array_equal(y[~covered], x[~covered])
    if 0 < share < 1:
        assert (covered.any(2).sum(1) == rows).all() and (covered.any(1).sum(1) == columns).all()
        starts = covered.any(2).argmax(1)
        assert set(starts) == set(range(16 - rows + 1))


def test_occlusion_has_its_probability_and_fills_with_random_pixels():
    x = np.full((2000, 8, 8, 1), -1.0, "float32")
    y = act(layers.RandomErasing(0.3, 0.25, value_range=(0, 10), seed=0), x)
    assert abs((y >= 0).any((1, 2, 3)).mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / len(x))
    pixels = y[y >= 0].astype(float)
    assert pixels.max() < 10
    assert abs(pixels.mean() - 5) < 5 * 10 / np.sqrt(12 * pixels.size)


def test_an_occlusion_may_have_a_colour():
    y = act(layers.RandomErasing(scale=1.0, fill_value=(1, 2, 3)), images(dtype="uint8"))
    np.testing.assert_array_equal(y, np.broadcast_to(np.uint8([1, 2, 3]), y.shape))


def test_bytes_are_rounded_and_kept_in_range():
    x = images(dtype="uint8")
    y = act(layers.RandomBrightness((0.301, 0.301)), x)
    assert y.dtype == np.uint8
    np.testing.assert_array_equal(y, np.clip(np.rint(x + 0.301 * 255), 0, 255))
