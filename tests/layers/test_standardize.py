"""Standardize: eq. 6, in one stable pass."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
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


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return data()[250 * index : 250 * (index + 1)], np.zeros(250)


def on_disk(path):
    np.save(path / "x.npy", data())
    return np.load(path / "x.npy", mmap_mode="r")


def part(x):
    return tfnn.data.Part(x, np.zeros(len(x)))


SOURCES = {
    "array": lambda path: data(),
    "list": lambda path: data().tolist(),
    "tensor": lambda path: tf.constant(data()),
    "memory map": on_disk,
    "x and y": lambda path: (data(), np.zeros(1000)),
    "part": lambda path: part(data()),
    "tfnn.data.Dataset": lambda path: tfnn.data.Dataset("d", "ab", part(data()), part(0 * data()), part(0 * data()), (0, 1)),
    "tf.data of x": lambda path: tf.data.Dataset.from_tensor_slices(data()).batch(37),
    "tf.data of x and y": lambda path: tf.data.Dataset.from_tensor_slices((data(), np.zeros(1000))).batch(999),
    "generator": lambda path: (x for x in np.split(data(), [1, 1, 500])),
    "PyDataset": lambda path: Batches(),
}


@pytest.mark.parametrize("source", SOURCES)
def test_adapt_streams_over_any_source_exactly(source, tmp_path, monkeypatch):
    monkeypatch.setattr("tfnn.data.batches.VALUES", 37 * 24)  # 37 examples at a time
    layer = Standardize()
    layer.adapt(SOURCES[source](tmp_path))
    np.testing.assert_allclose(np.ravel(layer.mean), data().mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(np.ravel(layer.variance), data().var((0, 1, 2)), rtol=1e-12)


def test_adapt_streams_over_a_folder_of_images(tmp_path, monkeypatch):
    monkeypatch.setattr("tfnn.data.batches.VALUES", 100)
    images = np.random.RandomState(0).randint(0, 256, (7, 5, 6, 3)).astype(np.uint8)
    for index, image in enumerate(images):
        (tmp_path / "ab"[index % 2]).mkdir(exist_ok=True)
        (tmp_path / "ab"[index % 2] / f"{index}.png").write_bytes(tf.io.encode_png(image).numpy())
    for path in tmp_path, str(tmp_path):
        layer = Standardize()
        layer.adapt(path)
        np.testing.assert_allclose(np.ravel(layer.mean), images.mean((0, 1, 2)))
        np.testing.assert_allclose(np.ravel(layer.variance), images.var((0, 1, 2)))


def test_a_large_mean_does_not_swallow_a_small_variance():
    """1e6 + noise of 0.1: E[x²] − E[x]² in float32 would be off by more than the variance itself."""
    x = 1e6 + 0.1 * np.random.RandomState(0).normal(size=(5000, 1))
    layer = Standardize()
    layer.adapt(x)
    np.testing.assert_allclose(layer.variance, [[x.var()]], rtol=1e-9)
    np.testing.assert_allclose(layer(x), (x - x.mean()) / x.std(), atol=1e-5)
    low = x.astype(np.float32).astype(np.float64)  # rounded to sixteenths, and the mean to more than the noise has left
    for jit in False, True:
        y = tf.function(layer, jit_compile=jit)(tf.constant(low, tf.float32))
        np.testing.assert_allclose(y, (low - x.mean()) / x.std(), atol=1e-5)


def test_half_precision_rounds_after_standardising():
    x = 1000 + np.random.RandomState(0).normal(size=(500, 1)).astype(np.float32)
    layer = Standardize(dtype="mixed_bfloat16")
    layer.adapt(x)
    np.testing.assert_allclose(tf.cast(layer(x), tf.float32), (x - x.mean()) / x.std(), atol=0.02)


def test_invert_is_the_inverse_and_gives_constants_back():
    x = data((100, 3))
    x[:, 1] = 0.1
    forward, back = Standardize(), Standardize(invert=True)
    for layer in forward, back:
        layer.adapt(x)
    np.testing.assert_allclose(back(forward(x)), x, rtol=1e-5, atol=1e-5)
    assert not np.allclose(forward(back(x)), back(x))


def test_a_constant_has_no_variance_however_many_there_are():
    """A sum of 0.1 in turn is off by more than any bound of a few ulp: the mean is taken from one of the values on."""
    layer = Standardize()
    layer.adapt(np.full((300_000, 2), 0.1))
    np.testing.assert_array_equal(layer.variance, np.zeros((1, 2)))
    np.testing.assert_array_equal(layer.mean, np.full((1, 2), 0.1))


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
        (np.zeros((5, 0, 0, 3)), r"needs data, got .*\(5, 0, 0, 3\)"),
        (iter(()), "needs data, got an empty"),
        (tf.data.Dataset.range(0).batch(2), "needs data, got an empty"),
        (tf.data.Dataset.range(5), "examples along the first axis"),
        (tf.data.Dataset.from_tensors(np.zeros((2, 3))).repeat(), "repeats without end"),
        ((x for x in [np.zeros((2, 3)), np.zeros((2, 4))]), r"shape \(2, 4\), but .* \(1, 3\)"),
        (None, "needs data, got None"),
        ({"a": np.zeros((2, 3))}, r"one layer, got a dict of \['a'\]"),
        (tf.data.Dataset.from_tensors({"a": np.zeros((2, 3))}), r"one layer, got a dict of \['a'\]"),
        (np.array([[1.0], [np.nan]]), "finite"),
        (np.array([[1.0], [np.inf]]), "finite"),
    ],
)
def test_adapt_refuses(x, message):
    with pytest.raises(ValueError, match=message):
        Standardize().adapt(x)


def test_adapt_refuses_folders_without_images(tmp_path):
    with pytest.raises(ValueError, match="no images"):
        Standardize().adapt(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        Standardize().adapt(tmp_path / "none")


@pytest.mark.parametrize("axis", [0, -4, 4, 7, (1, 4), -5])
def test_the_batch_axis_and_axes_that_are_not_there_are_refused(axis):
    with pytest.raises(ValueError, match="axis=.* must be a known axis, not the batch"):
        Standardize(axis=axis).adapt(data())
