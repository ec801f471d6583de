"""η/b follows the decay that was swapped, in both fits, and with rounding and the hybrid's bound."""

import keras
import numpy as np
import pytest

import tfnn
from tests.benchmarks import growth as growth_benchmark
from tfnn.callbacks import BatchSizeScheduler, GrowBatchOnPlateau, SwapDecayForGrowth

RNG = np.random.RandomState(3)
X, Y = RNG.normal(size=(44, 3)).astype(np.float32), RNG.normal(size=(44, 1)).astype(np.float32)
DECAY = tfnn.schedules.StepDecay(0.08, 1, 0.4)  # 0.08, 0.032, 0.0128, 0.00512: batches of 4, 10, 25 and 62


def linear(rate=0.5):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(tfnn.optimizers.SGD(rate), "mse")
    return model


def by_tfnn(model, callbacks, **options):
    return tfnn.fit(model, X, Y, 4, callbacks=callbacks, shuffle=False, jit_compile=False, **options)


def by_keras(model, callbacks, **options):
    return model.fit(tfnn.data.growable(X, Y, 4, shuffle=False), callbacks=callbacks, **options)


def reference(sizes):
    w = np.ones((3, 1))
    for epoch, size in enumerate(sizes):
        for at in range(0, 44, size):
            x, y = X[at : at + size], Y[at : at + size]
            w = w - 0.08 * 0.4**epoch * size / 4 * 2 * x.T @ (x @ w - y) / len(x)
    return w


WAYS = {  # name: (fit, mode, sizes under a bound of 30, and of 12)
    "accumulate": (by_tfnn, "accumulate", [4, 8, 24, 28], [4, 8, 12, 12]),
    "rebatch": (by_tfnn, "rebatch", [4, 10, 25, 30], [4, 10, 12, 12]),
    "model.fit": (by_keras, "accumulate", [4, 10, 25, 30], [4, 10, 12, 12]),
}


@pytest.mark.parametrize("rate", [0.5, keras.optimizers.schedules.CosineDecay(0.5, 9)], ids=["number", "schedule"])
@pytest.mark.parametrize("fit, mode, wide, narrow", WAYS.values(), ids=WAYS)
def test_rate_over_batch_follows_the_decay(fit, mode, wide, narrow, rate):
    for bound, sizes in (30, wide), (12, narrow):
        model = linear(rate)
        history = fit(model, [SwapDecayForGrowth(DECAY, bound, mode)], epochs=4, verbose=0).history
        assert history["batch_size"] == sizes
        ratio = np.divide(history["learning_rate"], sizes)
        np.testing.assert_allclose(ratio, 0.02 * 0.4 ** np.arange(4), rtol=1e-5)
        np.testing.assert_allclose(model.get_weights()[0], reference(sizes), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rate", [0.02, keras.optimizers.schedules.PolynomialDecay(0.0, 20, 0.02)], ids=["number", "from 0"])
@pytest.mark.parametrize("by", ["epoch", "update"])
def test_linear_scaling_is_alike_in_both_fits_and_ends_with_the_run(by, rate):
    models = [linear(rate), linear(rate)]
    for fit, model in zip((by_tfnn, by_keras), models):
        fit(model, [BatchSizeScheduler({1: 11, 2: 22}, by, "rebatch", scale_learning_rate=True)], epochs=3, verbose=0)
    ours, theirs = models
    np.testing.assert_allclose(ours.get_weights()[0], theirs.get_weights()[0], rtol=1e-5)
    assert np.abs(ours.get_weights()[0] - 1).max() > 1e-3
    assert int(ours.optimizer.iterations) == int(theirs.optimizer.iterations)
    for model in models:
        after = rate if isinstance(rate, float) else float(rate(model.optimizer.iterations))
        np.testing.assert_allclose(float(model.optimizer.learning_rate), after, rtol=1e-6)


@pytest.mark.parametrize("order", [1, -1])
def test_a_rate_that_another_callback_sets_is_scaled_alike_in_both_fits(order):
    weights = []
    for fit in by_tfnn, by_keras:
        growth = BatchSizeScheduler({1: 8, 2: 16}, mode="rebatch", scale_learning_rate=True)
        callbacks = [keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.04 * 0.5**epoch), growth][::order]
        model = linear()
        fit(model, callbacks, epochs=3, verbose=0)
        weights.append(model.get_weights()[0])
        assert float(model.optimizer.learning_rate) == pytest.approx(0.01)
    np.testing.assert_allclose(*weights, rtol=1e-5)


@pytest.mark.parametrize("fit", [by_tfnn, by_keras])
def test_growth_on_a_plateau_is_alike_in_both_fits(fit):
    growth = GrowBatchOnPlateau("loss", patience=1, min_delta=1e9, max_batch_size=40)
    assert fit(linear(0.01), [growth], epochs=5, verbose=0).history["batch_size"] == [4, 4, 8, 16, 32]


REFUSED = {
    "no schedule": (lambda: SwapDecayForGrowth(0.1, 64), TypeError, "must be a keras LearningRateSchedule, got 0.1"),
    "no integer": (lambda: SwapDecayForGrowth(DECAY, 6.5), ValueError, "max_batch_size=6.5 must be a positive integer"),
    "below the start": (
        lambda: by_tfnn(linear(), [SwapDecayForGrowth(DECAY, 3)]),
        ValueError,
        "max_batch_size=3 must be at least batch_size=4",
    ),
    "above the data": (
        lambda: by_keras(linear(), [SwapDecayForGrowth(DECAY, 45)]),
        ValueError,
        "batch size 45 must be between 1 and the 44 training examples",
    ),
    "arrays under model.fit": (
        lambda: linear().fit(X, Y, callbacks=[SwapDecayForGrowth(DECAY, 40)], verbose=0),
        RuntimeError,
        "SwapDecayForGrowth changes the batch size, which model.fit fixes",
    ),
}


@pytest.mark.parametrize("make, kind, message", REFUSED.values(), ids=REFUSED)
def test_what_cannot_grow_is_refused_in_one_line(make, kind, message):
    with pytest.raises(kind, match=message) as error:
        make()
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_growth_ends_where_decay_does_with_far_fewer_updates(digits):
    """Smith et al. 2018 on three seeds; ten, and the hybrid, are measured by `python -m tests.benchmarks growth`."""
    decay, growth = ([growth_benchmark.trained(digits, way, seed) for seed in range(1, 4)] for way in ("decay", "growth"))
    assert all(run.traces == 1 for run in decay + growth)
    assert all(g.updates[-1] <= 0.4 * d.updates[-1] for d, g in zip(decay, growth))
    differences = [g.accuracy - d.accuracy for d, g in zip(decay, growth)]
    assert abs(sum(differences) / 3) <= 1, differences
