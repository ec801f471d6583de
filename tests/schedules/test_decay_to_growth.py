"""The identity of the lecture, section 4: a batch that grows in place of a rate that decays keeps η/b."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tfnn.callbacks import BatchSizeScheduler
from tfnn.schedules import (
    Cosine,
    CosineDecayRestarts,
    ExponentialDecay,
    InEpochs,
    InverseTimeDecay,
    OneCycle,
    PolynomialDecay,
    StepDecay,
    Warmup,
    decay_to_growth,
)

DECAYS = [
    Cosine(0.1, 80),
    Cosine(0.1, 80, alpha=0.1),
    CosineDecayRestarts(0.1, 20, m_mul=1.5),
    ExponentialDecay(0.1, 9, 0.7),
    InverseTimeDecay(0.1, 3, 1),
    OneCycle(0.1, 80),
    PolynomialDecay(0.1, 80, 0),
    StepDecay(0.1, [20, 50, 70], 0.3),
    Warmup(PolynomialDecay(0.1, 80, 0), 30),
    keras.optimizers.schedules.PolynomialDecay(0.1, 80, 0.001),
]


@pytest.mark.parametrize("schedule", DECAYS, ids=lambda schedule: schedule.name)
def test_rate_over_batch_size_is_that_of_the_schedule_at_all_times(schedule):
    growth = decay_to_growth(schedule, 30, 700)
    begin = {"Warmup": 30, "OneCycle": 0.3 * 80}.get(schedule.name, 0)
    reference, grew = float(schedule(begin)), 0
    for tau in [0, begin, 20, 80, *np.random.RandomState(0).uniform(0, 100, 60)]:
        rate, b, decayed = float(growth.learning_rate(tau)), growth.batch_size(tau), float(schedule(tau))
        assert type(b) is int and 30 <= b <= 700
        np.testing.assert_allclose(rate / b, decayed / 30, rtol=3e-7)
        exact = 30 * reference / decayed if decayed else np.inf
        if tau <= begin or exact <= 30:
            assert b == 30
        elif exact >= 700:
            assert b == 700
        else:
            assert abs(b - exact) <= 0.5 + 1e-6 * exact  # so to the rounding the rate stays
            grew += 1
    assert grew > 5 or schedule.name == "StepDecay"


def test_a_decay_by_powers_of_ten_gives_exactly_these_powers():
    """In floating point 0.1 / (0.1 · 0.1²) is 99.99999999999999, which is not to be cut to 99."""
    for b_0 in 1, 7, 32, 96, 1000:
        growth = decay_to_growth(StepDecay(0.1, 10, 0.1), b_0, 10**9)
        assert [growth.batch_size(tau) for tau in (0, 9.99, 10, 20, 30)] == [b_0 * k for k in (1, 1, 10, 100, 1000)]
        np.testing.assert_allclose(growth.learning_rate(tf.range(40)), 0.1, rtol=1e-7)


def test_the_rate_decays_after_the_bound():
    growth = decay_to_growth(StepDecay(0.8, 10, 0.5), 32, 100)
    sizes_and_rates = [(growth.batch_size(tau), float(growth.learning_rate(tau))) for tau in (0, 10, 20, 30)]
    np.testing.assert_allclose(sizes_and_rates, [(32, 0.8), (64, 0.8), (100, 0.625), (100, 0.3125)])


def test_the_bound_holds_where_the_rate_is_zero_and_the_batch_falls_back_at_a_restart():
    growth = decay_to_growth(Cosine(0.1, 10), 32, 256)
    assert growth.batch_size(10) == growth.batch_size(11) == 256 and float(growth.learning_rate(10)) == 0
    growth = decay_to_growth(CosineDecayRestarts(0.1, 10), 32, 256)
    assert [growth.batch_size(tau) for tau in (0, 5, 9, 10)] == [32, 64, 256, 32]


def test_nothing_grows_in_a_warm_up():
    growth = decay_to_growth(Warmup(StepDecay(0.1, [5, 20], 0.5), 10), 32, 1000)
    assert [growth.batch_size(tau) for tau in (0, 1, 5, 9, 10, 19, 20)] == [32] * 6 + [64]
    np.testing.assert_allclose([growth.learning_rate(tau) for tau in (5, 10, 20)], [0.025, 0.05, 0.05], rtol=1e-6)


def test_both_parts_round_trip():
    growth = decay_to_growth(Warmup(Cosine(0.1, 10), 2), 32, 256)
    for part in growth:
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(part)))
        again = keras.saving.deserialize_keras_object(config)
        assert type(again) is type(part) and again.get_config() == part.get_config()
        assert again(7) == part(7)


def recorded(xy, rate, callbacks, batch_size=20, epochs=6, jit_compile=False):
    """The rate of every update, and the history, of a run under `tfnn.fit`."""
    rates = tf.Variable(tf.fill([100], np.nan))

    class Recorder(keras.optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            rates.scatter_nd_update([[tf.cast(self.iterations, tf.int32)]], [learning_rate])
            super().update_step(gradient, variable, learning_rate)

    model = tfnn.models.mlp((64,), 10, hidden=(4,))
    model.compile(Recorder(rate), "sparse_categorical_crossentropy")
    history = tfnn.fit(model, *xy, batch_size, epochs, 0, callbacks, jit_compile=jit_compile)
    return rates.numpy()[: history.updates], history


def times_and_sizes(batch_sizes, rows=200):
    """(epochs gone by, batch size) at each update."""
    return np.array([(e + row / rows, b) for e, b in enumerate(batch_sizes) for row in range(0, rows, b)])


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(
    "schedule, sizes",
    [
        (StepDecay(0.1, [2, 4, 5], 0.5), [20, 20, 40, 40, 80, 100]),
        (StepDecay(0.1, [1.5, 3], 0.5), [20, 20, 40, 80, 80, 80]),  # within an epoch the rate falls until the batch grows
        (Cosine(0.1, 6), [20, 20, 20, 40, 80, 100]),  # 20, 21, 27, 40, 80, 100, in whole micro-batches of 20
        (Warmup(Cosine(0.1, 6), 1.5), [20, 20, 20, 40, 60, 100]),
    ],
)
def test_rate_over_batch_size_follows_the_plan_in_a_run_of_one_trace(xy, schedule, sizes, jit_compile):
    growth = decay_to_growth(schedule, 20, 100)
    grow = BatchSizeScheduler(growth.batch_size)
    rates, history = recorded(xy, InEpochs(growth.learning_rate), [grow], jit_compile=jit_compile)
    assert history.batch_sizes == sizes and history.traces == 1
    tau, b = times_and_sizes(history.batch_sizes).T
    np.testing.assert_allclose(rates / b, np.array([schedule(t) for t in tau]) / 20, rtol=1e-6, atol=1e-10)


def test_without_its_callback_the_batch_stays_and_the_rate_decays(xy):
    """η/b follows the plan at whatever size is in force, that of another first batch too."""
    growth = decay_to_growth(Cosine(0.1, 6), 20, 100)
    for b in 20, 40:
        rates, history = recorded(xy, InEpochs(growth.learning_rate), [], batch_size=b)
        tau, _ = times_and_sizes(history.batch_sizes).T
        np.testing.assert_allclose(rates, [float(Cosine(0.1, 6)(t)) * b / 20 for t in tau], rtol=1e-6)


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: decay_to_growth(0.1, 32, 64), TypeError, "LearningRateSchedule, got 0.1"),
        (lambda: decay_to_growth(Cosine(0.1, 10), 0, 64), ValueError, "batch_size=0 must be a positive integer"),
        (lambda: decay_to_growth(Cosine(0.1, 10), 32.5, 64), ValueError, "batch_size=32.5 must be a positive integer"),
        (lambda: decay_to_growth(Cosine(0.1, 10), 32, 64.0), ValueError, "max_batch_size=64.0 must be a positive integer"),
        (lambda: decay_to_growth(Cosine(0.1, 10), 32, 31), ValueError, "max_batch_size=31 must be at least batch_size=32"),
        (lambda: decay_to_growth(Cosine(0.0, 10), 32, 64), ValueError, "schedule must have a positive rate at 0, .* got 0.0"),
        (lambda: decay_to_growth(InEpochs(Cosine(0.1, 10)), 32, 64), ValueError, "without InEpochs"),
    ],
)
def test_refuses_what_gives_no_growth(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    "schedule, peak", [(Warmup(Warmup(StepDecay(0.1, [10]), 5), 2), 0.1), (OneCycle(0.4, 20, pct_start=0.25), 0.4)]
)
def test_growth_compares_with_the_rate_at_the_end_of_a_first_rise(schedule, peak):
    growth = decay_to_growth(schedule, 32, 320)
    assert growth.batch_size(0) == growth.batch_size(5) == 32
    np.testing.assert_allclose(growth.learning_rate(5), peak, rtol=1e-6)
    np.testing.assert_allclose(growth.batch_size(11), np.clip(round(32 * peak / float(schedule(11))), 32, 320))
