"""Standardize: eq. 6, in one stable pass."""

import keras
import numpy as np
import pytest

from tfnn.layers import Standardize
from tfnn.layers.standardize import merge


def data(shape=(1000, 4, 3, 2)):
    return np.random.RandomState(0).normal(5, 3, shape) * np.arange(1, shape[-1] + 1)


@pytest.mark.parametrize("axis, kept", [(-1, (3,)), (None, ()), ((1, 3), (1, 3)), ((1, 2, 3), (1, 2, 3)), (1, (1,))])
def test_output_has_mean_0_and_variance_1_over_the_reduced_axes(axis, kept):
    layer = Standardize(axis)
    layer.adapt(data())
    y = np.asarray(layer(data()), np.float64)
    reduced = tuple(set(range(4)) - set(kept))
    np.testing.assert_allclose(y.mean(reduced), 0, atol=1e-4)
    np.testing.assert_allclose(y.var(reduced), 1, rtol=1e-3)


def test_adapt_is_exact_over_chunks(monkeypatch):
    monkeypatch.setattr(Standardize, "CHUNK", 37)
    layer = Standardize()
    layer.adapt(data())
    np.testing.assert_allclose(np.ravel(layer.mean), data().mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(np.ravel(layer.variance), data().var((0, 1, 2)), rtol=1e-6)


def test_a_large_mean_does_not_swallow_a_small_variance():
    """1e6 + noise of 0.1: E[x²] − E[x]² in float32 would be off by more than the variance itself."""
    x = 1e6 + 0.1 * np.random.RandomState(0).normal(size=(5000, 1))
    layer = Standardize()
    layer.adapt(x)
    np.testing.assert_allclose(layer.variance, [[x.var()]], rtol=1e-5)


def test_merge_is_associative():
    parts = [(n, np.array(float(m)), np.array(float(s))) for n, m, s in ((3, 1, 2), (5, -4, 1), (2, 9, 7))]
    left, right = merge(merge(*parts[:2]), parts[2]), merge(parts[0], merge(*parts[1:]))
    np.testing.assert_allclose(np.array(left, float), np.array(right, float))


def test_a_constant_feature_gives_0():
    x = data((100, 3))
    x[:, 1] = 0.1  # no binary fraction: its variance comes out as 2e-34
    layer = Standardize()
    layer.adapt(x)
    np.testing.assert_array_equal(np.asarray(layer(x))[:, 1], 0)
    assert np.isfinite(np.asarray(layer(x + 1))).all()


def test_statistics_travel_with_the_model(tmp_path):
    layer = Standardize()
    layer.adapt(data((50, 3)))
    keras.Sequential([keras.Input((3,)), layer]).save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras").layers[0]
    np.testing.assert_array_equal(again.mean, layer.mean)
    assert layer.trainable_weights == []


def test_adapt_of_integer_pixels():
    x = np.random.RandomState(0).randint(0, 17, (50, 8, 8, 1)).astype(np.uint8)
    layer = Standardize()
    layer.adapt(x)
    np.testing.assert_allclose(np.ravel(layer.mean), x.mean(), rtol=1e-6)


@pytest.mark.parametrize(
    "x, message",
    [
        (np.zeros((0, 3)), r"needs data, got .*\(0, 3\)"),
        (np.array([[1.0], [np.nan]]), "finite"),
        (np.array([[1.0], [np.inf]]), "finite"),
    ],
)
def test_adapt_refuses(x, message):
    with pytest.raises(ValueError, match=message):
        Standardize().adapt(x)


def test_the_batch_axis_is_refused():
    with pytest.raises(ValueError, match="axis=0"):
        Standardize(axis=0).adapt(data())
