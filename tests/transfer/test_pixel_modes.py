"""Preprocessing equals Keras's, without its traps."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfnn.transfer.pixel_modes import MODES, preprocess

THEIRS = {
    "caffe": keras.applications.resnet50.preprocess_input,
    "inside": keras.applications.efficientnet.preprocess_input,
    "tf": keras.applications.mobilenet_v2.preprocess_input,
    "torch": keras.applications.densenet.preprocess_input,
}
EACH = pytest.mark.parametrize("mode", MODES)


def pixels(dtype="uint8", shape=(2, 5, 4, 3)):
    return np.random.RandomState(0).randint(0, 256, shape).astype(dtype)


@EACH
@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float64"])
@pytest.mark.parametrize("shape", [(2, 5, 4, 3), (5, 4, 3)])
def test_it_equals_keras_for_arrays_and_tensors(mode, dtype, shape):
    x = pixels(dtype, shape)
    theirs = THEIRS[mode](x.astype("float32"))
    for ours in preprocess(x, mode), preprocess(tf.constant(x), mode):
        assert ours.dtype == ("float64" if dtype == "float64" else "float32")
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    for other in set(MODES) - {mode}:
        assert not np.allclose(preprocess(x, other), theirs, atol=1e-2), "a neighbour fails"


@EACH
def test_the_input_stays_as_it_is(mode):
    x = pixels("float32")
    before = x.copy()
    preprocess(x, mode)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
def test_keras_writes_over_its_input_and_cannot_take_integer_tensors(mode):
    """What the two tests above would show of Keras 3.15's functions."""
    x = pixels("float32")
    THEIRS[mode](x)
    assert not np.array_equal(x, pixels("float32"))
    if mode == "caffe":
        assert THEIRS[mode](tf.constant(pixels())).dtype == tf.uint8  # differences wrapped around at 256
    else:
        with pytest.raises((TypeError, ValueError, tf.errors.InvalidArgumentError)):
            THEIRS[mode](tf.constant(pixels()))


@EACH
@pytest.mark.parametrize("jit", [False, True])
def test_one_trace_serves_every_size(mode, jit):
    graph = tf.function(
        lambda x: preprocess(x, mode), input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)], jit_compile=jit
    )
    for shape in (2, 5, 4, 3), (1, 7, 6, 3):
        x = pixels(shape=shape)
        np.testing.assert_allclose(graph(x), preprocess(x, mode), rtol=1e-5, atol=1e-5)
    assert graph.experimental_get_tracing_count() == 1


@EACH
def test_half_floats_stay_half(mode):
    for dtype in tf.bfloat16, tf.float16:
        half = preprocess(tf.cast(pixels(), dtype), mode)
        assert half.dtype == dtype
        np.testing.assert_allclose(tf.cast(half, tf.float32), preprocess(pixels(), mode), rtol=0.02, atol=0.7)


@EACH
def test_it_works_on_symbolic_tensors(mode, tmp_path):
    inputs = keras.Input((5, 4, 3), dtype="uint8")
    model = keras.Model(inputs, preprocess(inputs, mode))
    model.save(tmp_path / "model.keras")
    for made in model, keras.saving.load_model(tmp_path / "model.keras"):
        np.testing.assert_allclose(made(pixels()), preprocess(pixels(), mode), rtol=1e-5, atol=1e-5)


def test_lists_are_taken_for_arrays():
    np.testing.assert_allclose(preprocess([[[0, 127.5, 255]]], "tf"), [[[-1, 0, 1]]])
