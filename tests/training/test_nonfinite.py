"""A number that is not finite is caught before it does harm, named, and where that is wanted left out."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.training.oracle import X, Y
from tfnn.training import NonFiniteError

SPOILT = X.copy()
SPOILT[37, 2] = np.nan  # in the 4th batch of 10


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 6

    def __getitem__(self, index):
        return SPOILT[index * 10 : index * 10 + 10], Y[index * 10 : index * 10 + 10]


def endless():
    while True:
        for index in range(6):
            yield Batches()[index]


SOURCES = {
    "arrays": lambda: {"x": SPOILT, "y": Y, "batch_size": 10},
    "tf.data": lambda: {"x": tf.data.Dataset.from_tensor_slices((SPOILT, Y)).batch(10)},
    "PyDataset": lambda: {"x": Batches()},
    "generator": lambda: {"x": endless(), "steps_per_epoch": 6},
}


def network(rate=0.1, **compiling):
    keras.utils.set_random_seed(1)
    layers = keras.layers
    hidden = [layers.Dense(8, "relu"), tfnn.layers.BatchNormalization(), layers.Dropout(0.2)]
    model = keras.Sequential([keras.Input((6,)), *hidden, layers.Dense(3, "softmax")])
    model.compile(tfnn.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"], **compiling)
    return model


def state(model):
    return [v.numpy() for v in model.variables + model.optimizer.variables]


def fit(model, **arguments):
    return tfnn.fit(model, **{"verbose": 0, "shuffle": False, "jit_compile": False, **arguments})


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_run_stops_before_it_and_names_the_example(source, jit_compile):
    model, before = network(), network()
    with pytest.raises(NonFiniteError, match="epoch 0, update 3, examples 37; .* x of these examples holds") as caught:
        fit(model, **SOURCES[source](), epochs=2, jit_compile=jit_compile)
    assert (caught.value.epoch, caught.value.update, caught.value.examples) == (0, 3, [37])
    fit(before, x=X[:30], y=Y[:30], batch_size=10, jit_compile=jit_compile)
    for a, b in zip(state(model), state(before), strict=True):
        np.testing.assert_array_equal(a, b) if not jit_compile else np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("source", SOURCES)
def test_an_update_that_is_left_out_leaves_no_trace(source):
    """Neither in the weights, nor in BatchNorm's statistics, nor in seeds and metrics."""
    model, without = network(), network()
    history = fit(model, **SOURCES[source](), epochs=3, nonfinite="skip")
    assert (history.skipped, history.updates, int(model.optimizer.iterations)) == (3, 15, 15)
    kept = np.delete(np.arange(60), np.s_[30:40])
    expected = fit(without, x=X[kept], y=Y[kept], batch_size=10, epochs=3)
    for a, b in zip(state(model), state(without), strict=True):
        np.testing.assert_array_equal(a, b)
    assert history.history == expected.history


def test_a_shuffled_dataset_gives_each_batch_once_where_updates_are_left_out():
    seen = []

    def note(x):
        seen.extend(x.numpy()[:, 0].tolist())
        return x

    noted = lambda x, y: (tf.ensure_shape(tf.py_function(note, [x], tf.float32), (None, 6)), y)
    x = tf.data.Dataset.from_tensor_slices((SPOILT, Y)).shuffle(60, seed=3).batch(10).map(noted)
    history = fit(network(), x=x, epochs=2, nonfinite="skip")
    assert history.skipped == 2
    assert sorted(seen[:60]) == sorted(seen[60:]) == sorted(SPOILT[:, 0].tolist())


@pytest.mark.parametrize("source", ["arrays", "tf.data"])
def test_under_accumulation_the_whole_update_is_left_out(source):
    model, without = network(), network()
    history = fit(model, **SOURCES[source](), accumulate=2, nonfinite="skip")
    assert (history.skipped, history.updates) == (1, 2)
    kept = np.r_[0:20, 40:60]
    fit(without, x=X[kept], y=Y[kept], batch_size=10, accumulate=2)
    np.testing.assert_allclose(model.get_weights()[0], without.get_weights()[0], rtol=1e-5, atol=1e-6)


class RootOfSquares(keras.layers.Layer):
    """‖x‖, whose gradient at 0 is not finite though its value is."""

    def call(self, x):
        return tf.sqrt(tf.reduce_sum(x * x, axis=-1, keepdims=True))


@pytest.mark.parametrize("stream", [False, True])
def test_the_variable_whose_gradient_was_first_is_named(stream):
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(4, use_bias=False, name="inner"),
            RootOfSquares(),
            keras.layers.Dense(1, name="outer"),
        ]
    )
    model.compile("sgd", "mse")
    x, y = X.copy(), X[:, :1]
    x[25] = 0
    data = {"x": tf.data.Dataset.from_tensor_slices((x, y)).batch(10)} if stream else {"x": x, "y": y, "batch_size": 10}
    with pytest.raises(NonFiniteError, match="update 2, .* gradient of .*inner/kernel was the first") as caught:
        fit(model, **data)
    assert caught.value.variable.endswith("inner/kernel")
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_an_overflow_of_the_scaled_loss_is_none():
    """The scale halves where float16 overflows, and the optimizer leaves those updates out itself."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = network()
    finally:
        keras.config.set_dtype_policy("float32")
    scaled = keras.optimizers.LossScaleOptimizer(tfnn.optimizers.SGD(0.1), initial_scale=2.0**30)
    model.compile(scaled, "sparse_categorical_crossentropy")
    history = fit(model, x=X, y=Y, batch_size=10, epochs=3)
    assert history.skipped == 0 and int(scaled.inner_optimizer.iterations) < 18
    assert np.isfinite(history.history["loss"]).all()


def test_ignored_it_goes_through():
    model = network()
    fit(model, x=SPOILT, y=Y, batch_size=10, nonfinite="ignore")
    assert not np.isfinite(model.get_weights()[0]).all()


def test_a_rate_that_is_too_high_is_said(xy):
    model = network(rate=1e30)
    with pytest.raises(NonFiniteError, match="lower the learning rate, or give the optimizer a clipnorm"):
        fit(model, x=X, y=Y, epochs=5)


class Rule(keras.optimizers.SGD):
    """A rule of the user's own, whose steps nothing bounds: it divides by what may be 0."""

    def update_step(self, gradient, variable, learning_rate):
        self.assign_sub(variable, learning_rate * gradient / keras.ops.cast(self.iterations < 2, gradient.dtype))


UNBOUNDED = {  # optimizer, update in which a weight becomes infinite though loss and gradients are finite
    "the rate": (lambda: tfnn.optimizers.SGD(keras.optimizers.schedules.PiecewiseConstantDecay([1], [1e-5, 3e38])), 2),
    "a rule of the user's own": (lambda: Rule(0.1), 2),
    "0 / 0": (lambda: keras.optimizers.Adam(0.1, epsilon=0.0), 0),
}


@pytest.mark.parametrize("source", ["arrays", "tf.data"])
@pytest.mark.parametrize("kind", UNBOUNDED)
def test_finite_gradients_that_make_a_weight_infinite_are_undone(kind, source):
    """Nothing is copied before an update of which that is sure not to happen, so here it has to be foreseen."""
    (optimizer, update), (model, before) = UNBOUNDED[kind], (network(), network())
    x = np.hstack([X[:, :-1], np.zeros((len(X), 1), "float32")])  # a weight without gradient
    for one in model, before:
        one.compile(optimizer(), "sparse_categorical_crossentropy", loss_weights=1e3)
    data = {
        "arrays": {"x": x, "y": Y, "batch_size": 10},
        "tf.data": {"x": tf.data.Dataset.from_tensor_slices((x, Y)).batch(10)},
    }
    with pytest.raises(NonFiniteError) as caught:
        fit(model, **data[source])
    assert caught.value.update == update
    fit(before, x=x[: 10 * update or 10], y=Y[: 10 * update or 10], batch_size=10, epochs=min(update, 1))
    for a, b in zip(model.get_weights(), before.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


class Moving(keras.layers.Layer):
    """Its forward pass moves a variable that no list of Keras's holds."""

    def __init__(self):
        super().__init__()
        self.hidden = {"seen": [tf.Variable(0.0, trainable=False)]}

    def call(self, x):
        self.hidden["seen"][0].assign_add(1.0)
        return x


def test_what_a_forward_pass_changed_is_undone_wherever_it_is_kept():
    moving = Moving()
    model = keras.Sequential([keras.Input((6,)), moving, keras.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    fit(model, **SOURCES["arrays"](), nonfinite="skip")
    assert float(moving.hidden["seen"][0]) == 5  # of 6 updates
