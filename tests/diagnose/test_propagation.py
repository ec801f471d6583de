"""The numbers of `propagation` against numpy and against real training steps, and that it leaves no trace."""

import gc
import re
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.needs import MULTI_OPTIMIZER
from tfnn.diagnose import propagation

RANDOM = np.random.RandomState(0)
X, Y = RANDOM.normal(0, 1, (32, 5)).astype("float32"), RANDOM.randint(0, 3, 32)


def compiled(*layers, optimizer="sgd", loss="sparse_categorical_crossentropy", **settings):
    model = keras.Sequential([keras.Input((5,)), *layers])
    model.compile(optimizer, loss, **settings)
    return model


def by_path(report):
    return {layer.path: layer for layer in report.layers}


ACTIVATIONS = {
    "tanh": (np.tanh, lambda h: 1 - h**2),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda h: h * (1 - h)),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_numbers_are_those_of_the_formulas(activation):
    """h = f(x W), ŷ = h V, L = mean (ŷ − t)²; ∂L/∂ŷ = 2 (ŷ − t)/n, ∂L/∂h = ∂L/∂ŷ Vᵀ; Δθ = −η ∂L/∂θ."""
    model = compiled(
        keras.layers.Dense(4, activation, use_bias=False, name="hidden"),
        keras.layers.Dense(2, use_bias=False, name="output"),
        optimizer=keras.optimizers.SGD(0.5),
        loss="mse",
    )
    f, slope = ACTIVATIONS[activation]
    t = RANDOM.normal(0, 1, (32, 2))
    w, v = (weight.astype("float64") for weight in model.get_weights())
    h = f(X @ w)
    of_y = 2 * (h @ v - t) / t.size
    of_h = of_y @ v.T
    of_v, of_w = h.T @ of_y, X.T @ (of_h * slope(h))
    report = propagation(model, (X, t))
    np.testing.assert_allclose(report.loss, np.mean((h @ v - t) ** 2), rtol=1e-5)
    for name, value, gradient, weight, step in ("hidden", h, of_h, w, of_w), ("output", h @ v, of_y, v, of_v):
        layer = by_path(report)[name]
        found = [layer.activation.mean, layer.activation.variance, layer.gradient.mean, layer.gradient.variance]
        np.testing.assert_allclose(found, [value.mean(), value.var(), gradient.mean(), gradient.var()], rtol=1e-3)
        np.testing.assert_allclose(layer.gradient.square, (gradient**2).sum(1).mean(), rtol=1e-4)
        np.testing.assert_allclose(layer.weight_norm, np.linalg.norm(weight), rtol=1e-5)
        np.testing.assert_allclose(layer.update_ratio, 0.5 * np.linalg.norm(step) / np.linalg.norm(weight), rtol=1e-3)
    assert report.learning_rate == 0.5 and [layer.prediction for layer in report.layers] == [False, True]


def test_gradient_of_a_softmax_is_that_of_its_logits():
    """Keras computes cross-entropy from them: ∂L/∂z = (p − one_hot(y))/n."""
    model = compiled(keras.layers.Dense(3, "softmax", name="output"))
    gradient = (model.predict(X, verbose=0) - np.eye(3)[Y]) / len(Y)
    (layer,) = propagation(model, (X, Y)).layers
    np.testing.assert_allclose(layer.gradient.variance, gradient.var(), rtol=1e-4)


def test_sample_weights_count():
    weights = np.zeros(32, "float32")
    weights[:8] = 4
    model = compiled(keras.layers.Dense(3, name="a"), keras.layers.Dense(3, "softmax"))
    weighted, part = (by_path(propagation(model, batch))["a"] for batch in ((X, Y, weights), (X[:8], Y[:8])))
    np.testing.assert_allclose(weighted.update_ratio, part.update_ratio, rtol=1e-4)
    assert propagation(model, (X, Y)).loss != pytest.approx(propagation(model, (X, Y, weights)).loss, rel=1e-3)


def adamw_without_decay_of_kernels():
    optimizer = keras.optimizers.AdamW(0.01, weight_decay=5.0)
    optimizer.exclude_from_weight_decay(var_names=["kernel"])
    return optimizer


def late_in_its_schedule():
    optimizer = tfnn.optimizers.SGD(tfnn.schedules.Cosine(0.1, 10))
    optimizer.iterations.assign(7)
    return optimizer


class Rising(keras.optimizers.schedules.LearningRateSchedule):
    """Neither registered nor with a configuration, as many a script has it."""

    def __call__(self, step):
        return 0.01 * tf.cast(step + 1, tf.float32)


OPTIMIZERS = {
    "SGD": lambda: tfnn.optimizers.SGD(0.1),
    "Nesterov": lambda: tfnn.optimizers.SGD(tfnn.schedules.Cosine(0.1, 5), momentum=0.9, nesterov=True),
    "Adam": lambda: keras.optimizers.Adam(0.01),
    "clipped": lambda: keras.optimizers.SGD(0.1, global_clipnorm=0.01),
    "accumulated": lambda: keras.optimizers.SGD(0.1, gradient_accumulation_steps=2),
    "loss scale, accumulated": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(0.01, gradient_accumulation_steps=2)
    ),
    "decay of some": adamw_without_decay_of_kernels,
    "late": late_in_its_schedule,
    "own schedule": lambda: keras.optimizers.SGD(Rising()),
    "function": lambda: keras.optimizers.SGD(lambda: 0.1),
}


@pytest.mark.parametrize("steps_before", [0, 2])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_update_ratio_is_what_the_next_training_step_does(name, steps_before):
    model = compiled(
        keras.layers.Dense(4, "relu", bias_initializer="ones"), keras.layers.Dense(3, "softmax"), optimizer=OPTIMIZERS[name]()
    )
    for _ in range(steps_before):
        model.train_on_batch(X, Y)
    ratios = [layer.update_ratio for layer in propagation(model, (X, Y)).layers]
    before = [layer.get_weights() for layer in model.layers]
    for _ in range(2 if "accumulated" in name else 1):
        model.train_on_batch(X, Y)
    for ratio, old, layer in zip(ratios, before, model.layers, strict=True):
        step = np.sqrt(sum(np.sum((a - b) ** 2) for a, b in zip(layer.get_weights(), old)))
        norm = np.sqrt(sum(np.sum(a**2) for a in old))
        np.testing.assert_allclose(ratio, step / norm, rtol=2e-3)
        assert ratio > 0


def everything(model):
    """All state of a model, by value."""
    variables = [*model.variables, *model.metrics_variables, *model.optimizer.variables]
    return [(variable.path, variable.numpy().tobytes()) for variable in variables]


def noisy():
    """BatchNorm, dropout and metrics: a step changes moving statistics, a seed, totals, slots."""
    keras.utils.set_random_seed(7)
    return compiled(
        keras.layers.Dense(8),
        tfnn.layers.BatchNormalization(),
        keras.layers.ReLU(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(3, "softmax"),
        optimizer=keras.optimizers.Adam(0.01),
        metrics=["accuracy"],
    )


@pytest.mark.parametrize("steps_before", [0, 3])
def test_the_model_is_left_as_it_was_to_the_bit(steps_before):
    model, twin = noisy(), noisy()
    for _ in range(steps_before):
        model.train_on_batch(X, Y)
        twin.train_on_batch(X, Y)
    before = everything(model)
    first, again = propagation(model, (X, Y)), propagation(model, (X, Y))
    assert everything(model) == before and repr(first) == repr(again)
    assert model.optimizer.built == bool(steps_before)
    model.train_on_batch(X, Y)
    assert everything(model) != before
    twin.train_on_batch(X, Y)
    assert [value for _, value in everything(model)] == [value for _, value in everything(twin)]


def test_the_model_is_left_as_it_was_after_an_error():
    model = noisy()
    before = everything(model)
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        propagation(model, (X, np.full(32, 99)))
    assert everything(model) == before and "call" not in vars(model.layers[0])


def test_metrics_that_keras_makes_for_several_outputs_stay_at_zero():
    inputs = keras.Input((5,))
    model = keras.Model(inputs, {"a": keras.layers.Dense(1, name="a")(inputs), "b": keras.layers.Dense(3, name="b")(inputs)})
    model.compile("sgd", {"a": "mse", "b": keras.losses.SparseCategoricalCrossentropy(from_logits=True)})
    report = propagation(model, (X, {"a": X[:, :1], "b": Y}))
    assert {layer.path for layer in report.layers} == {"a", "b"} and all(layer.prediction for layer in report.layers)
    assert len(model.metrics_variables) > 2 and not any(np.any(variable) for variable in model.metrics_variables)


def test_a_strategy_of_one_device_changes_nothing():
    reports = []
    for strategy in tf.distribute.get_strategy(), tf.distribute.OneDeviceStrategy("/cpu:0"):
        with strategy.scope():
            model = noisy()
        reports += [repr(propagation(model, (X, Y)))]
        model.train_on_batch(X, Y)
        reports += [repr(propagation(model, (X, Y)))]
    names = re.compile(r"_\d+|\s+")
    assert [names.sub("", report) for report in reports[:2]] == [names.sub("", report) for report in reports[2:]]


def test_nothing_of_the_batch_is_retained():
    model = compiled(keras.layers.Dense(4, "relu"), keras.layers.Dense(3, "softmax"))
    x = tf.constant(X)
    held = weakref.ref(x)
    report = propagation(model, (x, Y))
    del x
    gc.collect()
    assert held() is None and report.layers


# Which layers have rows, and how they are called


class Attends(keras.Model):
    """Layers in lists, called by keywords; a layer that is called twice; one inside a `tf.function`."""

    def __init__(self):
        super().__init__()
        self.embed = keras.layers.Dense(4, name="embed")
        self.attention = keras.layers.MultiHeadAttention(1, 4, name="attention")
        self.blocks = [tfnn.layers.ResidualBlock(4, name="block")]
        self.head = keras.layers.Dense(3, name="head")
        self.in_graph = InGraph(name="in_graph")

    def call(self, x):
        h = self.embed(self.embed(x[..., None] * tf.ones(4)))
        h = self.attention(query=h, value=h)
        h = self.blocks[0](h[:, :, None])
        return self.head(self.in_graph(tf.reduce_mean(h, (1, 2))))


class InGraph(keras.layers.Layer):
    def build(self, shape):
        self.inner = keras.layers.Dense(4)
        self.inner.build(shape)

    @tf.function
    def call(self, x):
        return self.inner(x)


def test_rows_of_a_subclassed_model_that_is_not_built_yet():
    model = Attends()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    report = propagation(model, (X, Y))
    paths = [layer.path for layer in report.layers]
    assert paths[:2] == ["embed", "embed (2)"] and paths[-2:] == ["in_graph", "head"]
    assert set(paths[2:6]) == {f"attention/{name}" for name in ("query", "key", "value", "attention_output")}
    assert [path.startswith("block/") for path in paths[6:-2]] == [True] * 6
    assert by_path(report)["embed"].shape == (5, 4) and by_path(report)["in_graph"].weight_norm > 0
    assert all(layer.gradient is not None for layer in report.layers)


def test_rows_of_recurrent_and_nested_models():
    block = keras.Sequential([keras.layers.Dense(4, "relu", name="d"), keras.layers.Reshape((4,))], name="block")
    inputs = keras.Input((6, 5))
    h = keras.layers.TimeDistributed(block, name="each")(inputs)
    h = keras.layers.Bidirectional(keras.layers.LSTM(3, name="lstm"), name="both")(h)
    outputs = keras.Sequential([keras.layers.Dense(3, name="d")], name="top")(h)
    model = keras.Model(inputs, outputs)
    model.compile("adam", "mse")
    x = RANDOM.normal(0, 1, (8, 6, 5))
    report = propagation(model, (x, np.zeros((8, 3))))
    assert [layer.path for layer in report.layers] == ["each", "both/forward_lstm", "both/backward_lstm", "top/d"]
    assert [layer.shape for layer in report.layers] == [(6, 4), (3,), (3,), (3,)]
    assert all(layer.update_ratio > 0 for layer in report.layers)


class Shifted(keras.layers.Layer):
    """A dense layer inside, and a weight of its own."""

    def build(self, shape):
        self.inner = keras.layers.Dense(3, name="inner")
        self.inner.build(shape)
        self.shift = self.add_weight(shape=(3,), initializer=keras.initializers.Constant(2.0))

    def call(self, x):
        return self.inner(x) + self.shift


def test_a_layer_with_weights_beside_a_layer_inside_has_a_row_of_its_own():
    inner, outer = propagation(compiled(Shifted(name="shifted"), loss="mse"), (X, np.zeros((32, 3)))).layers
    assert [inner.path, outer.path] == ["shifted/inner", "shifted"] and not inner.prediction and outer.prediction
    assert outer.weight_norm == pytest.approx(np.sqrt(3 * 2.0**2)) and outer.update_ratio > 0
    assert outer.activation.mean == pytest.approx(inner.activation.mean + 2, rel=1e-5)


def test_integers_have_no_row_and_frozen_layers_no_update():
    tokens = keras.layers.Embedding(9, 4, name="tokens")
    model = keras.Sequential([keras.Input((3,), dtype="int32"), keras.layers.Identity(), tokens, keras.layers.Flatten()])
    model.add(keras.layers.Dense(2, name="top"))
    tokens.trainable = False
    model.compile("sgd", "mse")
    report = propagation(model, (RANDOM.randint(0, 9, (8, 3)), np.zeros((8, 2))))
    frozen, top = report.layers
    assert frozen.path == "tokens" and frozen.weight_norm is frozen.update_ratio is None and top.update_ratio > 0
    assert frozen.gradient.variance > 0


def test_mixed_precision_gradients_are_given_without_the_loss_scale():
    dense = lambda dtype: keras.layers.Dense(4, dtype=dtype)
    models = [compiled(dense(dtype), keras.layers.Dense(3, "softmax")) for dtype in ("float32", "mixed_float16")]
    models[1].set_weights(models[0].get_weights())
    models[1].compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()), "sparse_categorical_crossentropy")
    full, half = (propagation(model, (X, Y)).layers[0] for model in models)
    np.testing.assert_allclose(half.gradient.variance, full.gradient.variance, rtol=0.02)
    np.testing.assert_allclose(half.update_ratio, full.update_ratio, rtol=0.02)


# What it refuses


@pytest.mark.parametrize(
    "batch, message",
    [
        (X, "batch must be .* got ndarray"),
        ((X,), "batch must be .* got 1 parts"),
        ((X, Y, None, None), "got 4 parts"),
        (tf.data.Dataset.from_tensors((X, Y)), "got _TensorDataset"),
        ((X, Y[:5]), r"the same number of examples, at least 1, got x: \[32\], y: \[5\]"),
        ((X[:0], Y[:0]), r"at least 1, got x: \[0\], y: \[0\]"),
        ((None, Y), "same number of examples"),
        (([1.0, 2.0], Y), "arrays with the examples first, got float"),
    ],
)
def test_a_batch_of_another_form_is_refused(batch, message):
    with pytest.raises(ValueError, match=message) as error:
        propagation(compiled(keras.layers.Dense(3)), batch)
    assert "\n" not in str(error.value)


def test_a_model_without_compile_is_refused():
    with pytest.raises(ValueError, match=r"model 'mlp' is not compiled: call model.compile\(optimizer, loss\) first"):
        propagation(tfnn.models.mlp((5,), 3), (X, Y))


def test_a_weight_that_was_unfrozen_without_compile_is_refused():
    model = compiled(keras.layers.Dense(3, trainable=False), keras.layers.Dense(3, "softmax"))
    model.train_on_batch(X, Y)
    model.layers[0].trainable = True
    with pytest.raises(ValueError, match="kernel became trainable after the optimizer was built: call model.compile again"):
        propagation(model, (X, Y))


def test_a_model_without_a_loss_is_refused():
    with pytest.raises(ValueError, match="No loss to compute"):
        propagation(compiled(keras.layers.Dense(3), loss=None), (X, Y))


def test_without_an_optimizer_there_is_no_update():
    report = propagation(compiled(keras.layers.Dense(3, "softmax"), optimizer=None), (X, Y))
    assert report.layers[0].update_ratio is None and report.learning_rate is None
    assert report.layers[0].gradient.variance > 0 and "update" not in str(report)


def test_a_weight_that_was_unfrozen_joins_an_optimizer_of_ours():
    model = compiled(keras.layers.Dense(3, trainable=False), keras.layers.Dense(3, "softmax"))
    model.compile(tfnn.optimizers.Adam(0.1), "sparse_categorical_crossentropy")
    model.train_on_batch(X, Y)
    model.layers[0].trainable = True
    assert all(layer.update_ratio > 0 for layer in propagation(model, (X, Y)).layers)
    assert len(model.optimizer.variables) == 2 + 2 * 2


def test_a_schedule_in_epochs_has_a_rate():
    schedule = tfnn.schedules.InEpochs(tfnn.schedules.Cosine(0.1, 4))
    model = compiled(keras.layers.Dense(3, "softmax"), optimizer=tfnn.optimizers.SGD(schedule))
    assert propagation(model, (X, Y)).learning_rate == pytest.approx(0.1)
    tfnn.fit(model, X, Y, epochs=2, verbose=0)
    assert propagation(model, (X, Y)).learning_rate == pytest.approx(0.05)


@MULTI_OPTIMIZER
def test_several_optimizers_have_a_rate():
    several = keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(tfnn.optimizers.SGD(0.2)))
    assert propagation(compiled(keras.layers.Dense(3, "softmax"), optimizer=several), (X, Y)).learning_rate == pytest.approx(
        0.2
    )
