"""The verdict over real networks, healthy and ill, and over rows that no network need give."""

import dataclasses
import re

import keras
import numpy as np
import pytest

import tfnn
from tfnn.diagnose import LayerReport, Moments, propagation
from tfnn.diagnose.verdict import verdict

SMALL, LARGE = keras.initializers.RandomNormal(stddev=0.01), keras.initializers.RandomNormal(stddev=1.0)
GLOROT, HE = keras.initializers.GlorotNormal(), tfnn.initializers.HeNormal()


@pytest.fixture(scope="module")
def batch(digits):
    x = digits.train.x[:128].reshape(128, 64).astype("float32")
    return (x - x.mean()) / x.std(), digits.train.y[:128]


def deep(depth, activation, initializer):
    """Layers h0, h1, ... of 100 units, and a softmax."""
    model = keras.Sequential([keras.Input((64,))])
    for index in range(depth):
        start = initializer.clone()
        model.add(keras.layers.Dense(100, activation, kernel_initializer=start, name=f"h{index}"))
    model.add(keras.layers.Dense(10, "softmax", name="out"))
    model.compile(tfnn.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    return model


def fold(text, what):
    return float(re.search(rf"{what}: their [a-z ]+ (?:falls|grows) ([0-9.e+]+)-fold", text)[1])


@pytest.mark.parametrize(
    "depth, activation, initializer",
    [
        (10, "tanh", GLOROT),
        (30, "tanh", GLOROT),
        (2, "sigmoid", GLOROT),
        (10, "relu", GLOROT),
        (10, "relu", HE),
        (30, "relu", HE),
        (3, "tanh", SMALL),  # "fine for a few layers" (lecture, section 2)
        (3, "relu", SMALL),
    ],
)
def test_a_good_start_is_healthy(batch, depth, activation, initializer):
    text = propagation(deep(depth, activation, initializer), batch).verdict
    assert text.startswith("healthy: variance of activations") and "back to" in text and "'h0'" in text


@pytest.mark.parametrize("depth", [10, 20])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_small_normal_start_makes_signal_and_gradient_vanish(batch, depth, activation):
    """Var(y) = n Var(w) Var(x): from h0 to the last hidden layer (100 · 1e-4)^(depth−1), half as much at each ReLU."""
    text = propagation(deep(depth, activation, SMALL), batch).verdict
    signal, gradient = text.split("; ")
    assert signal.startswith("vanishing activations") and signal.endswith(f"from 'h0' to 'h{depth - 1}'")
    assert gradient.startswith("vanishing gradients") and gradient.endswith(f"from 'h{depth - 1}' back to 'h0'")
    decades = (depth - 1) * (2 if activation == "tanh" else np.log10(200))
    assert abs(np.log10(fold(text, "gradients")) - decades) < 0.12 * decades
    assert abs(np.log10(fold(text, "activations")) - decades) < 0.12 * decades


def test_a_sigmoid_s_gradients_vanish_while_its_outputs_stay_near_a_half(batch):
    for initializer in SMALL, GLOROT:
        text = propagation(deep(10, "sigmoid", initializer), batch).verdict
        assert text.startswith("vanishing gradients") and "activations" not in text


def test_glorot_s_start_lets_30_layers_of_relu_vanish(batch):
    """Half the variance at each layer (He et al. 2015, section 2.2)."""
    text = propagation(deep(30, "relu", GLOROT), batch).verdict
    assert text.startswith("vanishing activations") and 2**27 < fold(text, "gradients") < 2**33


@pytest.mark.parametrize("depth", [10, 30])
def test_a_large_normal_start_makes_relu_explode(batch, depth):
    """Each layer multiplies the variance by 100/2."""
    text = propagation(deep(depth, "relu", LARGE), batch).verdict
    signal, gradient = text.split("; ")
    assert signal.startswith("exploding activations") and signal.endswith(f"from 'h0' to 'h{depth - 1}'")
    assert gradient.startswith("exploding gradients") and gradient.endswith("from 'out' back to 'h0'")
    decades = (depth - 1) * np.log10(50)
    assert abs(np.log10(fold(text, "activations")) - decades) < 0.1 * decades


@pytest.mark.parametrize("activation, layers", [("tanh", "10 layers"), ("sigmoid", "layers")])
def test_a_large_normal_start_saturates(batch, activation, layers):
    text = propagation(deep(10, activation, LARGE), batch).verdict
    assert text.startswith("saturated units in") and layers in text and "first in 'h" in text
    assert 0.5 <= float(re.search(r"(\d+)% of its outputs lie at a bound", text)[1]) / 100 < 0.9


def test_dead_units_are_told_with_the_layer_that_stops_the_gradient(batch):
    model = deep(6, "relu", HE)
    model.get_layer("h3").bias.assign(np.full(100, -100.0))
    text = propagation(model, batch).verdict
    assert text.startswith("dead units in 3 layers, first in 'h3': 100% of its units give 0 for every example")
    assert "vanishing activations: their variance is 0 from 'h3' to 'h5'" in text
    assert "vanishing gradients: their squared norm is 0 from 'h4' back to 'h0'" in text


def test_the_dead_share_is_counted_by_channel_over_all_positions(digits):
    images = digits.train.x[:64].astype("float32")
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(8, 3, name="conv"), keras.layers.ReLU(name="relu")])
    model.add(keras.layers.GlobalAveragePooling2D())
    model.compile("sgd", "mse")
    model.get_layer("conv").bias.assign([-1000.0] * 2 + [0.0] * 6)
    conv, relu, pooled = propagation(model, (images, np.zeros((64, 8)))).layers
    assert conv.dead is None and pooled.dead is None and relu.dead == 0.25
    values = model.get_layer("relu")(model.get_layer("conv")(images)).numpy()
    assert np.mean(values == 0) > 0.35  # of single values more are 0


def test_a_start_at_zero_is_dead(batch):
    """Lecture, section 2: every unit is updated alike, here not at all."""
    text = propagation(deep(3, "relu", keras.initializers.Zeros()), batch).verdict
    assert text.startswith("dead units in 3 layers") and "vanishing gradients" in text


@pytest.mark.parametrize("name", ["h2", "out"])
def test_nan_is_found_where_it_begins(batch, name):
    model = deep(4, "relu", HE)
    model.get_layer(name).bias.assign(np.full(model.get_layer(name).units, np.nan))
    report = propagation(model, batch)
    assert report.verdict == f"NaN or infinity, first in the output of layer '{name}'"
    assert "nan" in str(report)


def test_an_infinite_loss_or_gradient_is_found():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="a"), keras.layers.Dense(1, name="b")])
    x, y = np.ones((4, 2)), np.ones((4, 1))
    model.compile("sgd", lambda y, p: keras.ops.sum(p) * np.inf)
    assert propagation(model, (x, y)).verdict == "NaN or infinity, first in the loss"
    model.compile("sgd", lambda y, p: keras.ops.sum(keras.ops.sqrt(keras.ops.abs(p - keras.ops.stop_gradient(p)))))
    assert propagation(model, (x, y)).verdict == "NaN or infinity, first in the gradient of layer 'b', on the way back"


@pytest.mark.parametrize("name", ["mlp", "resnet"])
def test_models_are_healthy_before_and_after_training(name, digits):
    """The residual branches start at 0 (γ = 0), forward and backward, and are no fall."""
    standardize = tfnn.layers.Standardize()
    standardize.adapt(digits.train.x)
    if name == "mlp":
        model = tfnn.models.mlp((8, 8, 1), 10, standardize=standardize)
    else:
        model = tfnn.models.resnet((8, 8, 1), 10, depth=14, width=8, standardize=standardize)
    model.compile(tfnn.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy")
    x, y = digits.train.x[:256], digits.train.y[:256]
    before = propagation(model, (x[:128], y[:128]))
    tfnn.fit(model, x, y, 32, epochs=6, verbose=0, seed=1)
    after = propagation(model, (x[:128], y[:128]))
    assert before.verdict.startswith("healthy") and after.verdict.startswith("healthy")
    assert after.loss < before.loss / 2
    if name == "resnet":
        silent = [layer.path for layer in before.layers if layer.activation.variance == 0]
        assert len(silent) == 6 and before.layers[-3].activation.variance > 0
        assert any(layer.gradient.variance == 0 for layer in before.layers)


def test_pooling_is_no_vanishing(digits):
    """An average over 4,096 positions divides the variance of gradients by its square, their squared norm by itself."""
    model = keras.Sequential([keras.Input((64, 64, 1)), keras.layers.Conv2D(4, 3, padding="same", name="conv")])
    model.add(keras.layers.GlobalAveragePooling2D(name="pool"))
    model.add(keras.layers.Dense(10, "softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy")
    report = propagation(model, (digits.train.x[:8].repeat(8, 1).repeat(8, 2) / 16, digits.train.y[:8]))
    conv, pool, _ = report.layers
    np.testing.assert_allclose(pool.gradient.variance / conv.gradient.variance, 4096**2, rtol=0.5)
    assert report.verdict.startswith("healthy")


def test_what_stands_before_the_first_layer_that_learns_does_not_count(digits):
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Rescaling(1e5, name="scale"),
            keras.layers.BatchNormalization(name="normal"),
            keras.layers.Dense(9, name="a"),
        ]
    )
    model.add(keras.layers.Dense(10, "softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy")
    batch = digits.train.x[:99].reshape(99, 64), digits.train.y[:99]
    report = propagation(model, batch)
    assert report.layers[0].activation.variance > 1e10 and "in 'normal' to" in report.verdict


# Rows made by hand


def row(path, variance, square, weights=True, **changes):
    """A layer of one unit."""
    norm = 1.0 if weights else None
    moments = Moments(0.0, variance, 1), Moments(0.0, square, 1)
    return dataclasses.replace(LayerReport(path, "Dense", (1,), *moments, None, None, norm, None, False), **changes)


@pytest.mark.parametrize(
    "variances, expected",
    [
        ([1, 1e-2, 1.1e-6, 1], "healthy"),
        ([1, 1e-2, 0.9e-6, 1], "vanishing activations: their variance falls 1.1e+06-fold from 'l0' to 'l2'"),
        ([1, 5, 1e-9, 2, 1], "healthy"),  # what follows a silent branch counts
        ([1, 1, 0, 0, 1], "vanishing activations: their variance is 0 from 'l2' to 'l3'"),
        ([1, 0.9e6, 10, 1], "healthy"),
        ([1, 1.1e6, 10, 1], "exploding activations: their variance grows 1.1e+06-fold from 'l0' to 'l1'"),
        ([0, 1, 10, 1], "healthy"),
    ],
)
def test_the_rule_at_its_limit(variances, expected):
    *hidden, last = [row(f"l{index}", variance, 1.0) for index, variance in enumerate(variances)]
    found = verdict([*hidden, dataclasses.replace(last, prediction=True)], loss=1.0)
    assert found.split(":")[0] == "healthy" if expected == "healthy" else found == expected


@pytest.mark.parametrize(
    "squares, expected",
    [
        ([1, 1, 1.1e6], "vanishing gradients: their squared norm falls 1.1e+06-fold from 'l2' back to 'l0'"),
        ([1.1e6, 1, 1], "exploding gradients: their squared norm grows 1.1e+06-fold from 'l2' back to 'l0'"),
        ([1, 0, 0.9e6], "healthy"),
        ([0, 0, 1], "vanishing gradients: their squared norm is 0 from 'l1' back to 'l0'"),
    ],
)
def test_gradients_are_followed_backwards(squares, expected):
    found = verdict([row(f"l{index}", 1.0, square) for index, square in enumerate(squares)], loss=1.0)
    assert found.split(":")[0] == "healthy" if expected == "healthy" else found == expected


def test_limits_of_shares():
    rows = lambda **changes: [row("first", 1.0, 1.0, **changes), row("last", 1.0, 1.0, prediction=True, **changes)]
    assert verdict(rows(dead=0.89), 1.0).startswith("healthy") and verdict(rows(saturated=0.49), 1.0).startswith("healthy")
    assert verdict(rows(dead=0.9), 1.0).startswith("dead units in 2 layers, first in 'first': 90% of its units")
    assert verdict(rows(saturated=0.5), 1.0) == "saturated units in layer 'first': 50% of its outputs lie at a bound"


def test_one_layer_without_gradient_is_healthy():
    assert verdict([row("only", 1.0, 1.0, prediction=True, gradient=None)], 1.0) == "healthy"
