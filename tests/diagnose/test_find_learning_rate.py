"""The range test: that its losses are those of training, that it ends in time, and that it leaves no trace."""

import random
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.callbacks.test_steered_rate import OPTIMIZERS, RATES, X, Y, compiled, weights_by_hand
from tests.training.models import OwnTrainStep, Unbuilt
from tfnn.training.resume import state

RangeTest = sys.modules["tfnn.diagnose.find_learning_rate"].RangeTest  # the package's name is the function's


def find(model, **options):
    return tfnn.find_learning_rate(model, **{"x": X, "y": Y, "batch_size": 4, "shuffle": False, "updates": 20, **options})


def losses_by_hand(rates):
    """The mean cross-entropy on each batch before its update."""
    losses = []
    for update in range(len(rates)):
        w, b = weights_by_hand(rates[:update])
        rows = slice(4 * (update % 6), 4 * (update % 6) + 4)
        scores = X[rows] @ w + b
        chosen = scores[np.arange(4), Y[rows]] - np.log(np.exp(scores).sum(1))
        losses.append(-chosen.mean())
    return losses


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_rates_and_losses_are_those_of_the_formula(optimizer, jit_compile):
    """20 updates, more than the 6 of a pass over the data."""
    found = find(compiled(optimizer(0.1)), min_learning_rate=1e-3, max_learning_rate=1.0, jit_compile=jit_compile)
    rates = [1e-3 * 1000 ** (i / 19) for i in range(20)]
    np.testing.assert_allclose(found.learning_rates, rates, rtol=1e-6)
    np.testing.assert_allclose(found.losses, losses_by_hand(rates), rtol=1e-4)
    average, smoothed = 0, []
    for i, loss in enumerate(found.losses):
        average = 0.9 * average + 0.1 * loss
        smoothed.append(average / (1 - 0.9 ** (i + 1)))
    np.testing.assert_allclose(found.smoothed, smoothed, rtol=1e-9)
    assert not found.diverged


def everything(model):
    """All that a run changes, as arrays and plain values."""
    arrays, meta = state.capture(model)
    optimizer = model.optimizer
    held = {"rate": id(getattr(optimizer, "inner_optimizer", optimizer)._learning_rate), "stop": model.stop_training}
    beside = {name: id(vars(model).get(name)) for name in ("history", "_tfnn_graph", "train_function")}
    return arrays, meta, held, beside, random.getstate()


def assert_untouched(model, before):
    arrays, *others = everything(model)
    assert others == list(before[1:])
    assert arrays.keys() == before[0].keys()
    for name, array in before[0].items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)


def noisy(rate, optimizer=tfnn.optimizers.Adam):
    """With BatchNorm's statistics and random numbers of Keras's, whose state moves on."""
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Dense(5), keras.layers.BatchNormalization(), keras.layers.Dropout(0.3), tfnn.layers.Dropout(0.1)]
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(3, "softmax")])
    model.compile(optimizer(rate), "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    return model


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
@pytest.mark.parametrize("optimizer", [tfnn.optimizers.Adam, keras.optimizers.Adam], ids=["tfnn's", "Keras's"])
def test_it_changes_nothing_in_a_trained_model(optimizer, rate):
    model = noisy(rate(), optimizer)
    tfnn.fit(model, X, Y, batch_size=4, verbose=0, seed=1)
    before = everything(model)
    assert find(model).losses[-1] != find(model, max_learning_rate=1e-6).losses[-1]
    assert_untouched(model, before)


def test_a_run_after_it_is_that_without_it():
    alone, after = noisy(0.01), noisy(0.01)
    histories = []
    for model in alone, after:
        keras.utils.set_random_seed(5)
        if model is after:
            find(model, seed=None)
        histories.append(tfnn.fit(model, X, Y, batch_size=4, epochs=2, verbose=0))
    assert histories[0].history == histories[1].history and histories[1].traces == 1
    for found, wanted in zip(after.get_weights(), alone.get_weights()):
        np.testing.assert_array_equal(found, wanted)


class Breaks(keras.layers.Layer):
    """Raises in the graph at the fifth batch."""

    def build(self, shape):
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x, training=False):
        if training:
            self.seen.assign_add(1)
            with tf.control_dependencies([tf.debugging.assert_less(self.seen.value, 5.0)]):
                x = tf.identity(x)
        return x


def test_it_changes_nothing_where_an_error_ends_it():
    model = keras.Sequential([keras.Input((4,)), Breaks(), keras.layers.Dense(3, "softmax")])
    model.compile(tfnn.optimizers.SGD(tfnn.schedules.Cosine(0.1, 9), momentum=0.9), "sparse_categorical_crossentropy")
    state.build_optimizer(model.optimizer, model.trainable_variables, model)
    model._symbolic_build(data_batch=(X[:4], Y[:4], None))
    before = everything(model)
    with pytest.raises(tf.errors.InvalidArgumentError):
        find(model, jit_compile=False)
    assert_untouched(model, before)


def test_it_changes_nothing_after_ctrl_c(monkeypatch):
    model = noisy(tfnn.schedules.Cosine(0.1, 9))
    tfnn.fit(model, X, Y, batch_size=4, verbose=0)
    before = everything(model)
    hear, heard = RangeTest.on_update_begin, []

    def interrupted(self, update):
        heard.append(update)
        if len(heard) == 9:
            raise KeyboardInterrupt
        hear(self, update)

    monkeypatch.setattr(RangeTest, "on_update_begin", interrupted)
    with pytest.raises(KeyboardInterrupt):
        find(model)
    assert_untouched(model, before)


@pytest.mark.parametrize("high", [1e4, 1e30])
def test_it_stops_where_it_diverges_and_gives_finite_numbers(high):
    """By a loss many times its minimum, and by one that is not finite."""
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dense(1)])
    model.compile(tfnn.optimizers.SGD(0.1), "mse")
    before = model.get_weights()
    found = find(model, y=X.sum(1), max_learning_rate=high, updates=50)
    assert found.diverged and len(found.losses) < 50 and np.isfinite(found.smoothed).all()
    assert found.suggestion < found.at_minimum < found.learning_rates[-1]
    assert found.smoothed[:-1].max() <= 4 * found.smoothed[0]
    for array, wanted in zip(model.get_weights(), before):
        np.testing.assert_array_equal(array, wanted)


@pytest.fixture(scope="module")
def curve():
    """The losses of the plain sweep over the arrays."""
    return find(compiled(tfnn.optimizers.SGD(0.1)), jit_compile=False).losses


@pytest.mark.parametrize(
    "data",
    [
        {"x": tf.data.Dataset.from_tensor_slices((X, Y)).batch(4), "y": None, "batch_size": None},
        {"x": tf.data.Dataset.from_tensor_slices((X, Y)).batch(4).repeat(), "y": None, "batch_size": None},
        {"batch_size": 2, "accumulate": 2},
        {"sample_weight": np.ones(24, "float32")},
        {"augment": lambda x: x},
    ],
    ids=["a data set", "one without end", "sums", "weights", "augmentation"],
)
def test_other_forms_of_the_same_data_give_the_same_curve(data, curve):
    found = find(compiled(tfnn.optimizers.SGD(0.1)), jit_compile=False, **data)
    np.testing.assert_allclose(found.losses, curve, rtol=1e-5)


def test_the_same_seed_gives_the_same_curve():
    model = noisy(0.1)
    losses = [find(model, shuffle=True, seed=seed).losses for seed in (1, 1, 2)]
    np.testing.assert_array_equal(losses[0], losses[1])
    assert (losses[0] != losses[2]).any()


def test_a_model_that_is_not_built_is_built():
    keras.utils.set_random_seed(2)
    model = Unbuilt()
    model.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy", jit_compile=False)
    assert len(find(model).losses) == 20
    assert int(model.optimizer.iterations) == 0 and float(model.optimizer.learning_rate) == pytest.approx(1e-3)


def test_an_optimizer_in_mid_run_sweeps_the_whole_range():
    model = noisy(0.1)
    model.optimizer.iterations.assign(1000)
    rates = find(model, min_learning_rate=1e-5, max_learning_rate=1e-2).learning_rates
    np.testing.assert_allclose(rates[[0, -1]], [1e-5, 1e-2], rtol=1e-6)


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"min_learning_rate": 0},
            "min_learning_rate=0 and max_learning_rate=10.0 must be positive and finite",
        ),
        ({"min_learning_rate": 20.0}, "min_learning_rate=20.0 and max_learning_rate=10.0 must"),
        ({"max_learning_rate": np.inf}, "max_learning_rate=inf must"),
        ({"updates": 1}, "updates=1 must be an integer of at least 2"),
        ({"updates": 2.5}, "updates=2.5 must"),
        ({"smoothing": 1.0}, r"smoothing=1.0 must be in \[0, 1\)"),
        ({"divergence": 1}, "divergence=1 must be above 1"),
        ({"batch_size": 0}, "batch_size=0 must"),
        ({"x": np.full((24, 4), np.nan, "float32")}, "the loss of the first batch is not finite, whatever the rate"),
        ({"y": Y + 1}, "labels y of 1 to 3"),
    ],
)
def test_bad_input_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        find(compiled("sgd"), **options)


def test_a_training_step_of_its_own_is_refused():
    model = OwnTrainStep(*[(i := keras.Input((4,))), keras.layers.Dense(3, "softmax")(i)])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="RangeTest .* own train_step"):
        find(model)


def test_a_model_that_is_not_compiled_is_refused():
    with pytest.raises(ValueError, match="is not compiled: call model.compile"):
        find(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")]))
