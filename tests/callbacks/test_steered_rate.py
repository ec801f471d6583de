"""Setting the rate of a run, whatever its optimizer was compiled with."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.needs import MULTI_OPTIMIZER
from tfnn.callbacks import LearningRateScheduler, ReduceLROnPlateau
from tfnn.callbacks.steered_rate import SteeredRate, make_settable, rate_of, rescale, set_rate

X, Y = np.random.RandomState(0).normal(size=(24, 4)).astype("float32"), np.arange(24) % 3
FITS = {"tfnn.fit": tfnn.fit, "model.fit": lambda model, *arrays, **options: model.fit(*arrays, **options)}
EACH_FIT = pytest.mark.parametrize("fit", FITS.values(), ids=FITS)


class Halving(keras.optimizers.schedules.LearningRateSchedule):
    """A user's own, which counts in whole updates."""

    def __call__(self, step):
        return 0.1 * tf.pow(0.5, tf.cast(step // 2, tf.float32))

    def get_config(self):
        return {}


RATES = {
    "a number": lambda: 0.1,
    "tfnn's schedule": lambda: tfnn.schedules.StepDecay(0.1, 2, 0.5),
    "Keras's schedule": lambda: keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5, staircase=True),
    "the user's schedule": Halving,
    "a function": lambda: lambda: 0.1,
}
OPTIMIZERS = {
    "tfnn's": lambda rate: tfnn.optimizers.SGD(rate),
    "Keras's": lambda rate: keras.optimizers.SGD(rate),
    "tfnn's, loss scale": lambda rate: keras.optimizers.LossScaleOptimizer(tfnn.optimizers.SGD(rate), initial_scale=8.0),
    "Keras's, loss scale": lambda rate: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(rate), initial_scale=8.0),
}


def compiled(optimizer):
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
    return model


def train(fit, model, *callbacks, epochs=1, **options):
    """6 updates an epoch, in the order of the data."""
    options = {"batch_size": 4, "shuffle": False, "verbose": 0} | options
    return fit(model, X, Y, epochs=epochs, callbacks=list(callbacks), **options)


def weights_by_hand(rates):
    """Plain SGD on the softmax regression above, in numpy: θ ← θ − η ∇ mean cross-entropy."""
    w, b = [np.asarray(v, np.float64) for v in compiled("sgd").get_weights()]
    for update, rate in enumerate(rates):
        rows = slice(4 * (update % 6), 4 * (update % 6) + 4)
        scores = np.exp(X[rows] @ w + b)
        error = (scores / scores.sum(1, keepdims=True) - np.eye(3)[Y[rows]]) / 4
        w, b = w - rate * X[rows].T @ error, b - rate * error.sum(0)
    return w, b


@EACH_FIT
@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_rate_is_set_whatever_the_optimizer_was_compiled_with(optimizer, rate, fit):
    model = compiled(optimizer(rate()))
    history = train(fit, model, LearningRateScheduler({0: 0.5, 1: 0.25}), epochs=2)
    assert history.history["learning_rate"] == [0.5, 0.25]
    for found, wanted in zip(model.get_weights(), weights_by_hand([0.5] * 6 + [0.25] * 6)):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@EACH_FIT
def test_a_rate_is_set_in_a_model_that_was_trained_before(fit):
    """The graph of the first run holds the schedule, and is made anew once; the second keeps its rate."""
    model = compiled(tfnn.optimizers.SGD(tfnn.schedules.StepDecay(0.1, 2, 0.5)))
    train(fit, model)
    train(fit, model, LearningRateScheduler({0: 0.5}))
    train(fit, model)
    wanted = weights_by_hand([0.1, 0.1, 0.05, 0.05, 0.025, 0.025] + [0.5] * 12)
    for found, by_hand in zip(model.get_weights(), wanted):
        np.testing.assert_allclose(found, by_hand, rtol=1e-5, atol=1e-6)


def test_a_number_and_a_callback_make_no_new_trace():
    for rate in 0.1, tfnn.schedules.Cosine(0.1, 100):
        model = compiled(tfnn.optimizers.SGD(rate))
        histories = [train(tfnn.fit, model, LearningRateScheduler({0: 0.5, 1: 0.2}), epochs=2) for _ in range(2)]
        assert [history.traces for history in histories][-1] == 0
        before = model.optimizer._learning_rate
        train(tfnn.fit, model, ReduceLROnPlateau("loss"))
        assert model.optimizer._learning_rate is before


def test_one_trace_serves_a_run_under_a_schedule():
    model = compiled(tfnn.optimizers.SGD(tfnn.schedules.Cosine(0.1, 100)))
    assert train(tfnn.fit, model, LearningRateScheduler(lambda epoch: 0.5 / (1 + epoch)), epochs=3).traces == 1


def test_while_nothing_is_set_the_rate_is_the_schedules_to_the_bit():
    for schedule in tfnn.schedules.Cosine(0.1, 37), keras.optimizers.schedules.CosineDecay(0.1, 37), Halving():
        steered = SteeredRate(schedule)
        for step in map(tf.constant, range(40)):
            assert float(steered(step)) == float(schedule(step)) and steered(step).dtype == tf.float32


def test_what_is_set_holds_and_what_is_scaled_follows_the_schedule():
    model = compiled(tfnn.optimizers.SGD(tfnn.schedules.StepDecay(0.5, 2, 0.5)))
    make_settable(model)
    optimizer = model.optimizer
    rescale(optimizer, 0.25)
    found = []
    for step in range(5):
        optimizer.iterations.assign(step)
        found.append(rate_of(optimizer))
    assert found == [0.25, 0.25, 0.125, 0.125, 0.0625]
    set_rate(optimizer, 2.0)
    assert rate_of(optimizer) == 2.0  # whatever it was scaled by
    rescale(optimizer, 1.0)
    optimizer.iterations.assign(0)
    assert rate_of(optimizer) == 1.0
    set_rate(optimizer, 0.0)
    assert rate_of(optimizer) == 0.0


def test_the_rate_of_a_variable_of_the_users_is_set_in_it():
    rate = tf.Variable(0.1)
    model = compiled(tfnn.optimizers.SGD(rate))
    train(tfnn.fit, model, LearningRateScheduler({0: 0.5}))
    assert float(rate) == 0.5


@EACH_FIT
@MULTI_OPTIMIZER
def test_each_optimizer_of_several_is_set(fit):
    parts = tfnn.optimizers.SGD(tfnn.schedules.Cosine(0.1, 9), name="a"), keras.optimizers.Adam(0.1, name="b")
    optimizers = iter(parts)
    model = compiled("sgd")
    by_weight = keras.optimizers.MultiOptimizer(lambda variable: next(optimizers))
    by_weight.build(model.trainable_variables)
    model.compile(by_weight, "sparse_categorical_crossentropy", jit_compile=False)
    history = train(fit, model, LearningRateScheduler(lambda epoch, rate: rate / 2), epochs=2).history
    assert history["learning_rate_b"] == pytest.approx([0.05, 0.025])
    assert history["learning_rate_a"] == pytest.approx([0.05, 0.025])


@MULTI_OPTIMIZER
def test_optimizers_that_are_not_known_yet_are_asked_for():
    model = compiled(keras.optimizers.MultiOptimizer(lambda variable: keras.optimizers.SGD(0.1)))
    with pytest.raises(ValueError, match=r"does not know yet .* call optimizer.build\(model.trainable_variables\) before"):
        train(tfnn.fit, model, LearningRateScheduler({0: 0.5}))


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_model_whose_rate_was_set_is_saved_and_goes_on(optimizer, tmp_path):
    model = compiled(optimizer(tfnn.schedules.StepDecay(0.5, 4, 0.5)))
    train(tfnn.fit, model, ReduceLROnPlateau("loss", 0.5, patience=1, min_delta=9), epochs=2)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    rates = [float(m.optimizer.learning_rate) for m in (model, again)]
    assert rates == [0.5 * 0.5**3 * 0.5] * 2  # 12 updates; one reduction, at the second epoch
    for each in model, again:
        train(tfnn.fit, each)
    for found, wanted in zip(again.get_weights(), model.get_weights()):
        np.testing.assert_array_equal(found, wanted)


def test_its_config_is_its_arguments_and_holds_what_was_set():
    steered = SteeredRate(tfnn.schedules.Cosine(0.1, 10), factor=0.5)
    again = SteeredRate.from_config(steered.get_config())
    assert again.get_config() == steered.get_config() and float(again(3)) == float(steered(3)) == float(steered.schedule(3)) / 2
    again.assign(0.3)
    assert again.get_config()["rate"] == 0.3 and again.get_config()["factor"] == 1.0


def test_a_rate_that_was_set_counts_under_xla():
    model = compiled(tfnn.optimizers.SGD(tfnn.schedules.Cosine(0.1, 100)))
    train(tfnn.fit, model, LearningRateScheduler({0: 0.5}), jit_compile=True)
    for found, wanted in zip(model.get_weights(), weights_by_hand([0.5] * 6)):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_a_rate_can_be_set_by_hand_after_a_callback_made_it_a_schedule():
    model = compiled(tfnn.optimizers.SGD(0.1))
    train(tfnn.fit, model, LearningRateScheduler(tfnn.schedules.Cosine(0.1, 100), by="update"))
    model.optimizer.learning_rate = 0.3
    assert float(model.optimizer.learning_rate) == np.float32(0.3)
