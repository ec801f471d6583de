"""Dropout: expectation, share, variance, and where its numbers come from."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.keras_own import keras_tests
from tfnn.layers import Dropout, GaussianDropout, SpatialDropout

X = np.random.RandomState(0).uniform(1, 2, (200, 50)).astype("float32")

OTHER_WORDS = ["test_dropout_negative_rate", "test_dropout_rate_greater_than_one"]  # of a message
NAMESPACE = type("layers", (), {"Dropout": Dropout, "GaussianDropout": GaussianDropout})
globals().update(keras_tests("layers.regularization.dropout_test", layers=NAMESPACE, excepted=OTHER_WORDS))
globals().update(keras_tests("layers.regularization.gaussian_dropout_test", layers=NAMESPACE))


@pytest.mark.parametrize("scale_at", ["training", "test"])
@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_both_forms_have_the_same_expectation_in_training_as_at_test(scale_at, rate):
    layer = Dropout(rate, seed=1, scale_at=scale_at)
    y, at_test = (np.asarray(layer(X, training=training), np.float64) for training in (True, False))
    np.testing.assert_allclose(at_test, X * (1 if scale_at == "training" else 1 - rate), rtol=1e-6)
    error = y.std() / np.sqrt(y.size)
    assert abs(y.mean() - at_test.mean()) < 5 * error
    np.testing.assert_allclose((y == 0).mean(), rate, atol=5 * np.sqrt(rate * (1 - rate) / y.size))
    np.testing.assert_allclose(y[y > 0], (X / (1 - rate) if scale_at == "training" else X)[y > 0], rtol=1e-6)


def test_at_a_rate_of_0_and_1_it_keeps_and_drops_all():
    for rate, factor in (0.0, 1), (1.0, 0):
        x = tf.Variable(X)
        with tf.GradientTape() as tape:
            y = Dropout(rate)(x, training=True)
        np.testing.assert_array_equal(y, factor * X)
        np.testing.assert_array_equal(tape.gradient(y, x), np.full_like(X, factor))


def test_the_rate_is_set_without_a_new_trace_or_read_from_a_variable():
    variable, of_keras, own = tf.Variable(0.0), keras.Variable(0.0), Dropout(0.0)
    for layer, put in (
        (own, lambda p: setattr(own, "rate", p)),
        (Dropout(variable), variable.assign),
        (Dropout(of_keras), of_keras.assign),
    ):
        graph = tf.function(lambda x, layer=layer: layer(x, training=True))
        graph = graph.get_concrete_function(tf.TensorSpec([None, 50]))
        np.testing.assert_array_equal(graph(tf.constant(X)), X)
        put(0.9)
        assert 0.85 < np.mean(graph(tf.constant(X)) == 0) < 0.95
        assert layer.get_config()["rate"] == pytest.approx(0.9)
        assert not layer.trainable_variables and len(layer.variables) == 1  # the seed's state


def test_spatial_dropout_drops_whole_channels():
    y = np.asarray(SpatialDropout(0.5, seed=3)(np.ones((40, 3, 4, 5), "float32"), training=True))
    assert set(np.unique(y.reshape(40, 12, 5).mean(1))) == {0.0, 2.0}


def test_gaussian_dropout_has_the_moments_of_dropout():
    y = np.asarray(GaussianDropout(0.3, seed=2)(np.ones((400, 100), "float32"), training=True), np.float64)
    variance = 0.3 / 0.7
    assert abs(y.mean() - 1) < 5 * np.sqrt(variance / y.size)
    assert abs(y.var() / variance - 1) < 5 * np.sqrt(2 / y.size)
    assert np.all(np.isfinite(y))


def test_in_a_scope_the_mask_is_a_function_of_the_example():
    layers = Dropout(0.5), SpatialDropout(0.5)

    def run(rows):
        with tfnn.random.scope(1, 2, tf.constant(rows)):
            images = tf.ones((len(rows), 4, 4, 3))
            return np.concatenate([layer(images, training=True) for layer in layers], -1)

    whole = run([3, 4, 5])
    np.testing.assert_array_equal(np.concatenate([run([3]), run([4, 5])]), whole)
    assert not np.array_equal(whole[0], whole[1])


def test_a_run_with_dropout_repeats_with_its_seed(xy):
    def run(seed):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [keras.Input((64,)), keras.layers.Dense(16, "relu"), Dropout(0.5), keras.layers.Dense(10, "softmax")]
        )
        model.compile("sgd", "sparse_categorical_crossentropy")
        return tfnn.fit(model, *xy, epochs=2, verbose=0, seed=seed, shuffle=False).history["loss"]

    assert run(1) == run(1) and run(1) != run(2)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"rate": -0.1}, "rate=-0.1"),
        ({"rate": 1.1}, "rate=1.1"),
        ({"rate": 0.5, "scale_at": "x"}, "scale_at='x'"),
    ],
)
def test_refuses_what_is_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        Dropout(**options)


def test_a_rate_set_later_is_checked():
    with pytest.raises(ValueError, match=r"rate=1.5 must be in \[0, 1\]"):
        Dropout(0.5).rate = 1.5


def test_gaussian_noise_of_infinite_variance_is_refused():
    with pytest.raises(ValueError, match=r"rate=1.0 must be in \[0, 1\)"):
        GaussianDropout(1.0)


@pytest.mark.parametrize("make", [Dropout, SpatialDropout, GaussianDropout])
def test_integers_which_cannot_be_scaled_are_refused(make):
    for training in True, False:
        with pytest.raises(ValueError, match="must be floats, got int32"):
            make(0.5)(np.ones((2, 3, 4), "int32"), training=training)


def test_a_noise_shape_of_another_rank_is_refused():
    with pytest.raises(ValueError, match=r"noise_shape=\(None, 1\) must have .* inputs \(2, 3, 4\)"):
        Dropout(0.5, (None, 1))(np.ones((2, 3, 4), "float32"), training=True)
