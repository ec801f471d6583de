"""LSUV: after it each layer's output has the variance 1 on the batch, and nothing but kernels has changed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tfnn.initializers import SmallNormal, lsuv
from tfnn.taps import tapped

layers = keras.layers
ACTIVATIONS = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0)}


def draw(*shape):
    return np.random.RandomState(0).normal(size=shape).astype("float32")


def deep(activation, stddev=None, depth=30):
    """Dense layers of N(0, stddev²), each drawn anew; of Keras's default without `stddev`."""
    initializer = SmallNormal(stddev, seed=keras.random.SeedGenerator(1)) if stddev else "glorot_uniform"
    dense = lambda width, activation: layers.Dense(width, activation, kernel_initializer=initializer)
    return keras.Sequential([keras.Input((64,)), *(dense(64, activation) for _ in range(depth)), dense(10, "softmax")])


def variances(model, x, activation):
    """Of the pre-activations of a dense net, in numpy."""
    found = []
    for layer in model.layers:
        w, b = (weight.astype(np.float64) for weight in layer.get_weights())
        found.append((x @ w + b).var())
        x = ACTIVATIONS[activation](x @ w + b)
    return np.array(found)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_deep_net_gets_unit_variances_where_other_starts_vanish_or_explode(activation):
    x = draw(128, 64)
    model = deep(activation)
    report = lsuv(model, x, seed=1)
    assert np.abs(variances(model, x, activation) - 1).max() < 0.1
    np.testing.assert_allclose([row.variance for row in report], variances(model, x, activation), rtol=1e-4)
    assert [row.path for row in report] == [layer.path for layer in model.layers]
    assert max(row.iterations for row in report) == 1, "without biases a layer is linear in its kernel"
    assert variances(deep(activation, 0.01), x, activation)[-1] < 1e-20
    assert variances(deep(activation, 1.0), x, activation)[-1] > {"relu": 1e20, "tanh": 20}[activation], "tanh saturates"


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_deep_net_trains_after_it_and_not_from_small_weights(activation, xy):
    x, y = (xy[0] - xy[0].mean(0)) / xy[0].std(), xy[1]
    accuracy = {}
    for start in "lsuv", "small":
        model = deep(activation, 0.01, depth=12)
        if start == "lsuv":
            lsuv(model, x, seed=1)
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
        accuracy[start] = model.fit(x, y, batch_size=20, epochs=15, shuffle=False, verbose=0).history["accuracy"][-1]
    assert accuracy["lsuv"] > 0.9 and accuracy["small"] < 0.3


def measured(model, x):
    """The variances of the outputs of all convolution and dense layers without activation."""
    found = {}

    def tap(layer, inputs, output):
        found[layer.path] = float(tf.math.reduce_variance(output))
        return output

    kinds = layers.Conv2D, layers.Dense
    with tapped([layer for layer in model._flatten_layers() if isinstance(layer, kinds)], tap):
        model(x, training=False)
    return found


def test_layers_inside_layers_of_a_resnet():
    x = draw(32, 8, 8, 3)
    model = tfnn.models.resnet((8, 8, 3), 10, depth=8, width=8)
    before = measured(model, x)
    report = lsuv(model, x, seed=1)
    after = measured(model, x)
    assert {row.path for row in report} == set(after) and len(after) == 10
    last = model.layers[-1].path  # measured behind its softmax
    del before[last], after[last]
    assert max(abs(value - 1) for value in after.values()) < 0.1 < max(abs(value - 1) for value in before.values())
    model.compile(tfnn.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    losses = model.fit(x, np.arange(32) % 10, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


IMAGES = (32, 8, 8, 6)
# name: (layer, shape of its input, its kernels as matrices that are orthonormal up to one factor)
LAYERS = {
    "Dense": (lambda: layers.Dense(5, "relu"), (32, 9), lambda w: [w]),
    "Dense of sequences": (lambda: layers.Dense(5, "relu"), (32, 3, 9), lambda w: [w]),
    "Conv1D": (lambda: layers.Conv1D(5, 3, activation="tanh"), (32, 8, 6), lambda w: [w.reshape(18, 5)]),
    "Conv2D": (lambda: layers.Conv2D(5, 3, 2, activation="tanh"), IMAGES, lambda w: [w.reshape(54, 5)]),
    "Conv3D": (lambda: layers.Conv3D(5, 2, activation="relu"), (16, 4, 4, 4, 3), lambda w: [w.reshape(24, 5)]),
    "grouped Conv2D": (
        lambda: layers.Conv2D(30, 3, groups=3, activation="relu"),
        IMAGES,
        lambda w: [w[..., 10 * g : 10 * g + 10].reshape(18, 10) for g in range(3)],
    ),
    "DepthwiseConv1D": (lambda: layers.DepthwiseConv1D(3), (32, 8, 6), lambda w: [w[:, c] for c in range(6)]),
    "DepthwiseConv2D": (
        lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu"),
        IMAGES,
        lambda w: [w[:, :, c].reshape(9, 2) for c in range(6)],
    ),
    "SeparableConv2D": (lambda: layers.SeparableConv2D(5, 3, activation="relu"), IMAGES, lambda w: [w.reshape(6, 5)]),
    "Conv2DTranspose": (
        lambda: layers.Conv2DTranspose(5, 3, 2, activation="relu"),
        IMAGES,
        lambda w: [w.transpose(0, 1, 3, 2).reshape(54, 5)],
    ),
    "EinsumDense": (
        lambda: layers.EinsumDense("abc,cde->abde", (8, 3, 2), activation="relu"),
        (32, 8, 9),
        lambda w: [w.reshape(9, 6)],
    ),
    "EinsumDense, one matrix a head": (
        lambda: layers.EinsumDense("abhc,hcd->abhd", (8, 3, 4)),
        (32, 8, 3, 9),
        list,
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_kinds_of_layers(name):
    make, shape, matrices = LAYERS[name]
    model, x = keras.Sequential([make()]), 3 * draw(*shape)
    ((path, variance, iterations),) = lsuv(model, x, seed=1)
    layer = model.layers[0]
    layer.activation = None
    np.testing.assert_allclose(np.var(layer(x)), variance, rtol=1e-4)
    assert path == layer.path and abs(variance - 1) < 0.1 and iterations >= 1
    kernel = np.asarray(layer.pointwise_kernel if name == "SeparableConv2D" else layer.kernel)
    products = [w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T for w in matrices(kernel)]
    for product in products:
        np.testing.assert_allclose(product, products[0][0, 0] * np.eye(len(product)), atol=1e-5)


def test_the_depthwise_kernel_of_a_separable_convolution_stays_orthonormal():
    layer = layers.SeparableConv2D(5, 3)
    lsuv(layer, 3 * draw(*IMAGES), seed=1)
    np.testing.assert_allclose(np.sum(np.square(layer.depthwise_kernel), (0, 1)), 1, rtol=1e-5)


class Always(keras.layers.Layer):
    """A layer that changes its state at each call."""

    def __init__(self):
        super().__init__()
        self.norm, self.dropout = layers.BatchNormalization(), layers.Dropout(0.5, seed=1)

    def call(self, inputs):
        return self.dropout(self.norm(inputs, training=True), training=True)


def test_nothing_but_kernels_changes():
    frozen = layers.Dense(8, bias_initializer="ones", trainable=False)
    parts = [frozen, layers.Dense(8, "relu", bias_initializer="ones"), layers.BatchNormalization(), Always(), layers.Dense(2)]
    model = keras.Sequential([keras.Input((6,)), *parts])
    model.compile(tfnn.optimizers.SGD(0.1, momentum=0.9), "mse")
    model.fit(draw(8, 6), draw(8, 2), verbose=0)
    state = lambda: {variable.path: variable.numpy() for variable in model.variables + model.optimizer.variables}
    before = state()
    assert any("seed" in path for path in before) and any("moving" in path for path in before)
    assert [row.path for row in lsuv(model, draw(32, 6), tolerance=0.5)] == [parts[1].path, parts[4].path]
    changed = {path for path, value in state().items() if not np.array_equal(value, before[path])}
    assert changed == {parts[1].kernel.path, parts[4].kernel.path}
    assert parts[1].activation is keras.activations.relu and "call" not in vars(parts[1])


def test_an_error_leaves_the_model_as_it_was():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(8), layers.Dense(4, bias_initializer="random_normal")])
    model.layers[-1].bias.assign(10.0 * np.arange(4))
    before = model.get_weights()
    with pytest.raises(ValueError, match=f"{model.layers[-1].path}: .* not 1 ± 0.1, after 10 iterations.* bias large"):
        lsuv(model, draw(32, 6))
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_moderate_bias_takes_some_iterations():
    layer = layers.Dense(64, bias_initializer=keras.initializers.RandomNormal(stddev=0.5, seed=1))
    ((_, variance, iterations),) = lsuv(layer, draw(64, 16), tolerance=0.01, seed=1)
    assert abs(variance - 1) < 0.01 and iterations > 1
    np.testing.assert_allclose(np.var(layer(draw(64, 16))), variance, rtol=1e-4)


def test_it_is_a_function_of_its_seed():
    kernels = []
    for seed in 1, 1, 2:
        model = deep("relu", depth=2)
        lsuv(model, draw(32, 64), seed=seed)
        kernels.append([layer.kernel.numpy() for layer in model.layers])
    for first, again, other in zip(*kernels, strict=True):
        np.testing.assert_array_equal(first, again)
        assert not np.allclose(first, other)
    assert not np.allclose(kernels[0][0], kernels[0][1]), "no two layers start alike"


def test_a_shared_layer_is_scaled_at_its_first_call():
    shared = layers.Dense(6, "relu")
    inputs = keras.Input((6,))
    model = keras.Model(inputs, shared(shared(inputs)))
    x = 5 * draw(64, 6)
    ((path, variance, _),) = lsuv(model, x, seed=1)
    assert path == shared.path
    np.testing.assert_allclose(np.var(x @ shared.kernel), variance, rtol=1e-4)


class Subclassed(keras.Model):
    """Builds a layer late, and calls all in a graph of its own."""

    def __init__(self):
        super().__init__()
        self.first, self.block = layers.Dense(8, keras.layers.PReLU()), tfnn.layers.ResidualBlock(8)

    @tf.function
    def call(self, inputs):
        return self.block(self.first(inputs))


def test_a_subclassed_model_that_is_not_built():
    model = Subclassed()
    report = lsuv(model, draw(16, 8, 8, 3), seed=1)
    assert [row.path.split("/")[-1] for row in report] == [model.first.name, *(model.block.branch[i].name for i in (0, 3))]
    assert isinstance(model.first.activation, keras.layers.PReLU) and not tf.config.functions_run_eagerly()
    assert max(abs(row.variance - 1) for row in report) < 0.1


def test_several_inputs_of_low_precision():
    inputs = {name: keras.Input((4,), name=name) for name in "ab"}
    policy = "mixed_float16"
    hidden = layers.Dense(32, "relu", dtype=policy)(layers.Concatenate(dtype=policy)(list(inputs.values())))
    model = keras.Model(inputs, layers.Dense(16, dtype=policy)(hidden))
    report = lsuv(model, {"a": draw(64, 4), "b": 9 * draw(64, 4)}, seed=1)
    assert len(report) == 2 and max(abs(row.variance - 1) for row in report) < 0.1
    kernel = model.layers[-1].kernel.numpy()
    product = kernel.T @ kernel
    np.testing.assert_allclose(product, product[0, 0] * np.eye(16), atol=1e-5)  # half precision would show at 1e-3


@pytest.mark.parametrize(
    "parts, x, arguments, message",
    [
        ([layers.Dense(3)], draw(0, 4), {}, r"batch must hold examples, got the shapes \[\(0, 4\)\]"),
        ([layers.Dense(3)], [], {}, r"batch must hold examples, got the shapes \[\]"),
        ([layers.Dense(3)], 0 * draw(8, 4), {}, "dense.*: the variance of its output is 0, .* is its input 0"),
        ([layers.Dense(3)], np.nan * draw(8, 4), {}, "dense.*: the variance of its output is nan"),
        ([layers.ReLU()], draw(8, 4), {}, "has no trainable kernel of a dense or convolution layer"),
        ([layers.Dense(3, trainable=False)], draw(8, 4), {}, "has no trainable kernel"),
        ([layers.Dense(3)], draw(8, 4), {"tolerance": 0}, "tolerance=0 must be positive"),
        ([layers.Dense(3)], draw(8, 4), {"max_iterations": 0}, "max_iterations=0 at least 1"),
    ],
)
def test_refuses_in_one_line(parts, x, arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        lsuv(keras.Sequential(parts), x, **arguments)
    assert "\n" not in str(error.value)
