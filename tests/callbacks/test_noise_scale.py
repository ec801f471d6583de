"""The noise scale and the critical batch size, against what they are for losses whose noise is known."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.training.models import OwnTrainStep
from tfnn.callbacks import NoiseScale
from tfnn.callbacks.noise_scale import unbiased, without_replacement

N = 96


class Point(keras.layers.Layer):
    """Weights θ, whatever the input: in two layers, so that there is something to tell by layer."""

    def __init__(self, start, **options):
        super().__init__(**options)
        self.start = start

    def build(self, shape):
        start = lambda *_, **__: tf.constant(self.start, tf.float32)
        self.theta = self.add_weight(shape=(len(self.start),), initializer=start, name="theta")

    def call(self, x):
        return x * 0 + self.theta


class Quadratic:
    """l(θ, x) = ½ (θ − x)ᵀ A (θ − x), with A diagonal: its gradient is A(θ − x), with covariance A Σ_x A over examples."""

    def __init__(self, dimensions, start=0.0, seed=0, curvature=None, n=N):
        random = np.random.RandomState(seed)
        self.a = random.uniform(0.5, 2, dimensions) if curvature is None else np.full(dimensions, curvature)
        # orthogonal columns of mean 0 and variance 1: so many runs in one that share the order of examples and no data
        centred = random.normal(size=(n, dimensions))
        self.x = (np.linalg.qr(centred - centred.mean(0))[0] * np.sqrt(n)).astype(np.float32)
        self.start, self.n = np.full(dimensions, start), n
        self.gradients = self.a * (self.start - self.x)  # (N, dimensions), at the start

    def model(self, optimizer):
        x, half, a = keras.Input(self.x.shape[1:]), len(self.a) // 2, tf.constant(self.a, tf.float32)
        theta = [Point(start, name=name)(x[:, part]) for start, name, part in zip(*self.parts(half))]
        model = keras.Model(x, keras.layers.Concatenate()(theta))
        model.compile(optimizer, lambda y, theta: 0.5 * tf.reduce_sum(a * tf.square(theta - y), -1))
        return model

    def parts(self, half):
        parts = slice(0, half), slice(half, None)
        return [self.start[part] for part in parts], ("first", "second"), parts

    def moments(self, part=slice(None)):
        """(tr Σ, |G|²) at the start, exactly."""
        g = self.gradients[:, part]
        return g.var(0).sum(), np.sum(g.mean(0) ** 2)


def fit(problem, optimizer, callbacks, size, accumulate, epochs, seed=1, **options):
    model = problem.model(optimizer)
    options = {"jit_compile": True, "verbose": 0, **options}
    return model, tfnn.fit(
        model, problem.x, problem.x, size, epochs, accumulate=accumulate, callbacks=callbacks, seed=seed, **options
    )


# The rule --------------------------------------------------------------------------------------------------------------


def drawn(problem, b, k, draws, seed):
    """(draws, 2): |g|² of the micro-batches, meaned, and of the batch, for k · b examples without replacement, in numpy."""
    random = np.random.RandomState(seed)
    found = []
    for _ in range(draws):
        parts = problem.gradients[random.permutation(problem.n)[: b * k]].reshape(k, b, -1).mean(1)
        found.append([np.mean(np.sum(parts**2, -1)), np.sum(parts.mean(0) ** 2)])
    return np.array(found)


@pytest.mark.parametrize("b, k", [(1, 2), (2, 3), (4, 6)])
def test_the_rule_is_unbiased_without_replacement_and_the_plain_one_is_not(b, k):
    problem, draws = Quadratic(6, start=0.4, n=24), 20_000
    plain = np.array([unbiased(*row, b, b * k) for row in drawn(problem, b, k, draws, seed=2)])
    found = np.array([without_replacement(*row, problem.n) for row in plain])
    off = lambda rows: np.abs(rows.mean(0) - problem.moments()) / (rows.std(0) / np.sqrt(draws) + 1e-9)  # in standard errors
    assert off(found).max() < 5 and off(plain).min() > 5


def built(noise, weights):
    noise.set_model(keras.Sequential())
    noise.build(weights)
    return noise


def test_without_measurements_nothing_is_told():
    noise = built(NoiseScale(), [])
    assert np.isnan(noise.total.critical_batch_size) and noise.layers == {}


# The measurement -------------------------------------------------------------------------------------------------------

SMOOTHING = 0.9995


@pytest.mark.parametrize("b, k, draws", [(4, 3, 6000), (16, 3, 800), (48, 2, 600)])
def test_the_critical_batch_size_of_a_known_loss(b, k, draws):
    """Within 5% at a fixed point, and within 5 standard errors, which the same estimates on numpy's draws tell."""
    problem, noise = Quadratic(40, start=0.3), NoiseScale(interval=1, smoothing=SMOOTHING)
    trace, norm = problem.moments()
    fit(problem, tfnn.optimizers.SGD(0.0), [noise], b, k, draws * b * k // N)
    single = np.array([without_replacement(*unbiased(*row, b, b * k), N) for row in drawn(problem, b, k, 1000, seed=3)])
    weights = SMOOTHING ** np.arange(draws)
    share = np.sqrt(np.sum(weights**2)) / np.sum(weights)
    error = np.std(single[:, 0] / trace - single[:, 1] / norm) * share  # of the ratio, relative (delta method)
    off = noise.total.critical_batch_size / (trace / norm) - 1
    assert 5 * error < 0.05 and abs(off) < 5 * error
    uncorrected = trace * N / (N - 1) / (norm - trace / (N - 1))
    assert uncorrected / (trace / norm) - 1 > 0.1


def test_layers_are_told_apart_and_sum_up_to_the_total():
    problem, noise = Quadratic(40, start=0.3), NoiseScale(interval=1, smoothing=SMOOTHING)
    fit(problem, tfnn.optimizers.SGD(0.0), [noise], 16, 3, 400)
    assert list(noise.layers) == ["first", "second"]
    np.testing.assert_allclose(np.sum(list(noise.layers.values()), 0), noise.total, rtol=1e-5)
    for found, part in zip(noise.layers.values(), problem.parts(20)[2]):
        np.testing.assert_allclose(found.critical_batch_size, np.divide(*problem.moments(part)), rtol=0.1)  # measured: 2%


WAYS = {
    "XLA": lambda x: {"x": x, "y": x, "batch_size": 8, "jit_compile": True},
    "no XLA": lambda x: {"x": x, "y": x, "batch_size": 8, "jit_compile": False},
    "tf.data": lambda x: {"x": tf.data.Dataset.from_tensor_slices((x, x)).batch(8), "jit_compile": False},
    "tf.data, XLA": lambda x: {"x": tf.data.Dataset.from_tensor_slices((x, x)).batch(8), "jit_compile": True},
}


@pytest.mark.parametrize("way", WAYS)
def test_only_whole_updates_are_measured_whatever_the_source(way):
    """92 examples: 3 · (8 + 8 + 8) and then 8 + 8 + 4, of which one part is not whole. In the order of the data."""
    problem, noise = Quadratic(8, start=0.5), NoiseScale(interval=1, smoothing=0.9)
    x = problem.x[:92]
    history = tfnn.fit(
        problem.model(tfnn.optimizers.SGD(0.0)), **WAYS[way](x), accumulate=3, verbose=0, shuffle=False, callbacks=[noise]
    ).history
    sums, shares = np.zeros(2), 0.0
    for start in 0, 24, 48:
        parts = problem.gradients[start : start + 24].reshape(3, 8, -1).mean(1)
        row = unbiased(np.mean(np.sum(parts**2, -1)), np.sum(parts.mean(0) ** 2), 8, 24)
        sums, shares = 0.9 * sums + 0.1 * np.array(row), 0.9 * shares + 0.1
    n = 96 if "tf.data" in way else 92  # of a stream the number of batches is known
    expected = without_replacement(*sums / shares, n)
    np.testing.assert_allclose(noise.total, expected, rtol=1e-4)
    np.testing.assert_allclose(history["critical_batch_size"], [expected.critical_batch_size], rtol=1e-4)


def test_where_the_gradient_is_lost_in_noise_the_critical_batch_size_is_infinite():
    noise = built(NoiseScale(interval=1), [keras.Variable([0.0, 0.0], name="w")])
    noise.averages.assign([[2.0], [-0.1], [0.5]])
    assert noise.total == (4.0, np.float32(-0.1) / 0.5) and noise.total.critical_batch_size == np.inf


def test_it_changes_no_bit_of_the_run_and_an_interval_leaves_updates_out():
    problem, every, third = Quadratic(8, start=0.5), NoiseScale(interval=1, smoothing=0.0), NoiseScale(3, smoothing=0.0)
    plain, _ = fit(problem, tfnn.optimizers.SGD(0.1), [], 8, 2, 1)
    watched, _ = fit(problem, tfnn.optimizers.SGD(0.1), [every], 8, 2, 1)
    np.testing.assert_array_equal(plain.get_weights(), watched.get_weights())
    model = problem.model(tfnn.optimizers.SGD(0.1))
    tfnn.fit(model, problem.x[:64], problem.x[:64], 8, verbose=0, callbacks=[every], accumulate=2, shuffle=False)  # 4 updates
    model = problem.model(tfnn.optimizers.SGD(0.1))
    tfnn.fit(model, problem.x, problem.x, 8, verbose=0, callbacks=[third], accumulate=2, shuffle=False)  # of 6 the 1st and 4th
    np.testing.assert_allclose(third.averages, every.averages, rtol=1e-5)


def test_an_update_that_is_undone_leaves_no_trace():
    problem, averages = Quadratic(8, start=0.5), []
    spoilt = problem.x.copy()
    spoilt[40, 3] = np.nan  # in the third update
    for x in spoilt, np.delete(problem.x, np.s_[32:48], 0):
        noise = NoiseScale(interval=1)
        options = {"accumulate": 2, "shuffle": False, "nonfinite": "skip"}
        tfnn.fit(problem.model(tfnn.optimizers.SGD(0.1)), x, x, 8, 1, 0, [noise], **options)
        averages.append(noise.averages.numpy())
    np.testing.assert_allclose(*averages, rtol=1e-6)


def test_an_overflow_of_a_scaled_loss_is_not_measured():
    """As under mixed_float16: the first of the 12 updates have gradients that are not finite."""
    problem, noise = Quadratic(8, start=50.0), NoiseScale(interval=1)
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.0), initial_scale=2.0**126)
    tfnn.fit(problem.model(scaled), problem.x, problem.x, 4, 1, 0, [noise], accumulate=2, shuffle=False)
    assert np.isfinite(noise.averages).all() and 0 < noise.averages[2, 0] < 1 - 0.9**12 - 1e-3


def test_a_resumed_run_tells_the_same_to_the_last_bit(tmp_path):
    problem = Quadratic(8, start=0.5)

    def run(epochs, resume=None):
        noise, save = NoiseScale(interval=2), tfnn.callbacks.Checkpoint(tmp_path / "c", monitor="loss")
        callbacks = [noise, save] if resume is not False else [noise]
        _, history = fit(problem, tfnn.optimizers.SGD(0.1), callbacks, 8, 2, epochs, resume=resume or None)
        return noise.averages.numpy(), history.history

    whole, history = run(5, resume=False)
    run(2)
    resumed, again = run(5, resume=tmp_path / "c")
    np.testing.assert_array_equal(resumed, whole)
    assert again["critical_batch_size"] == history["critical_batch_size"] and again["noise_scale"] == history["noise_scale"]


def test_layers_of_a_sequential_go_by_their_own_names():
    model, noise = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, name="dense")]), NoiseScale(interval=1)
    model.compile(tfnn.optimizers.SGD(0.1), "mse")
    x = Quadratic(4).x
    tfnn.fit(model, x, x[:, :1], 8, 1, 0, [noise], accumulate=2)
    assert list(noise.layers) == ["dense"] and noise.layers["dense"] == noise.total


def test_one_callback_measures_models_in_turn():
    """The graph that the first model still holds writes variables that the callback no longer reads."""
    quiet, noisy, noise = Quadratic(8, start=50.0), Quadratic(8, start=0.5), NoiseScale(interval=1)
    models = [problem.model(tfnn.optimizers.SGD(0.0)) for problem in (quiet, noisy)]
    told = []
    for model, problem in zip([*models, models[0]], (quiet, noisy, quiet)):
        tfnn.fit(model, problem.x, problem.x, 8, 1, 0, [noise], accumulate=2, seed=1)
        told.append(noise.total)
    assert told[2] == told[0] != told[1]


def test_a_second_run_measures_anew():
    problem, noise = Quadratic(8, start=0.5), NoiseScale(interval=1)
    model, told = problem.model(tfnn.optimizers.SGD(0.0)), []
    for _ in range(2):
        tfnn.fit(model, problem.x, problem.x, 8, 1, 0, [noise], accumulate=2, seed=1)
        told.append(noise.total)
    assert told[0] == told[1]


# What is told, and refused -----------------------------------------------------------------------------------------------

OPTIMIZERS = {
    "SGD": (lambda: tfnn.optimizers.SGD(0.1), 0.1 * N / 16),
    "momentum": (lambda: tfnn.optimizers.SGD(0.1, momentum=0.9), 0.1 * N / 16 / 0.1),
    "Keras's, Nesterov": (lambda: keras.optimizers.SGD(0.1, momentum=0.5, nesterov=True), 0.1 * N / 16 / 0.5),
    "a schedule": (lambda: tfnn.optimizers.SGD(tfnn.schedules.StepDecay(0.1, [4], 0.5)), 0.05 * N / 16),
    "a scaled loss": (lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)), 0.1 * N / 16),
    "sums of its own": (lambda: tfnn.optimizers.SGD(0.1, gradient_accumulation_steps=3), 0.1 * N / 48),
    "Adam": (lambda: tfnn.optimizers.Adam(0.1), None),
    "Keras's RMSprop": (lambda: keras.optimizers.RMSprop(0.1), None),
    "LARS": (lambda: tfnn.optimizers.LARS(0.1), None),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_noise_scale_is_that_of_the_rate_in_force(name):
    make, expected = OPTIMIZERS[name]
    _, history = fit(Quadratic(4), make(), [NoiseScale(interval=1)], 8, 2, 1, jit_compile=False)
    assert history.history.get("noise_scale") == (None if expected is None else pytest.approx([expected], rel=1e-5))


def test_it_is_that_of_the_grown_batch():
    """Also where growth begins from a single micro-batch, of which nothing can be measured."""
    growth = tfnn.callbacks.BatchSizeScheduler({1: 32})
    _, history = fit(Quadratic(4), tfnn.optimizers.SGD(0.1), [NoiseScale(interval=1), growth], 8, 1, 2)
    np.testing.assert_allclose(history.history["noise_scale"], [0.1 * N / 8, 0.1 * N / 32], rtol=1e-5)
    assert np.isnan(history.history["critical_batch_size"][0]) and history.history["critical_batch_size"][1] > 0


def test_where_nobody_knows_how_many_examples_there_are_nothing_is_corrected():
    problem, noise = Quadratic(4, start=0.5), NoiseScale(interval=1)
    endless = tf.data.Dataset.from_tensor_slices((problem.x, problem.x)).repeat().batch(8)
    model = problem.model(tfnn.optimizers.SGD(0.1))
    history = tfnn.fit(model, endless, steps_per_epoch=6, accumulate=2, verbose=0, callbacks=[noise]).history
    sums = noise.averages.numpy().sum(1)
    np.testing.assert_allclose(noise.total, sums[:2] / noise.averages[2, 0], rtol=1e-5)
    assert "noise_scale" not in history


BAD = {
    "interval=0": (lambda: NoiseScale(0), "interval=0 must be a positive number of updates"),
    "interval=2.0": (lambda: NoiseScale(2.0), "interval=2.0 must"),
    "smoothing=1": (lambda: NoiseScale(smoothing=1), r"smoothing=1 must be in \[0, 1\)"),
    "smoothing below 0": (lambda: NoiseScale(smoothing=-0.1), "smoothing=-0.1 must"),
    "nan": (lambda: NoiseScale(smoothing=np.nan), "smoothing=nan must"),
}


@pytest.mark.parametrize("case", BAD)
def test_arguments_are_checked_at_once(case):
    make, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        make()


def test_an_interval_may_be_a_number_of_numpys():
    assert NoiseScale(np.int64(3)).interval == 3


def own_step():
    inputs = keras.Input((4,))
    model = OwnTrainStep(inputs, keras.layers.Dense(4)(inputs))
    model.compile("sgd", "mse")
    return model


REBATCH = lambda: tfnn.callbacks.BatchSizeScheduler({1: 32}, mode="rebatch")
REFUSED = {
    "no accumulation": (
        None,
        lambda: [NoiseScale()],
        "NoiseScale compares .* half the batch_size and accumulate=2",
    ),
    "larger batches": (None, lambda: [NoiseScale(), REBATCH()], "compares .* and what grows the batch mode='accumulate'"),
    "a train_step": (own_step, lambda: [NoiseScale()], "NoiseScale measures gradients, which a model with its own train_step"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_says_where_it_can_never_measure(case):
    make, callbacks, message = REFUSED[case]
    problem = Quadratic(4)
    model = make() if make else problem.model(tfnn.optimizers.SGD(0.1))
    with pytest.raises(ValueError, match=message):
        tfnn.fit(model, problem.x, problem.x, 16, verbose=0, callbacks=callbacks())


def test_under_model_fit_it_says_what_to_call():
    problem = Quadratic(4)
    with pytest.raises(RuntimeError, match=r"NoiseScale .* call tfnn.fit\(model, ...\)"):
        problem.model(tfnn.optimizers.SGD(0.1)).fit(problem.x, problem.x, verbose=0, callbacks=[NoiseScale()])


# Stationary SGD --------------------------------------------------------------------------------------------------------


def stationary_variance(n, b, eta, a, mu):
    """Of θ at the ends of epochs under SGD with momentum, exactly, for examples of variance 1 (over n).

    (θ − x̄, v) ← M (θ − x̄, v) + c u, with u the batch's mean less x̄: of variance (1/b)(n − b)/(n − 1), and as an epoch draws
    without replacement, of covariance −1/(n − 1) between its batches.
    """
    m, c = np.array([[1 - eta * a, mu], [-eta * a, mu]]), eta * a * np.ones(2)
    updates = n // b
    pushes = np.array([np.linalg.matrix_power(m, updates - 1 - t) @ c for t in range(updates)])  # (updates, 2)
    u = np.full((updates, updates), -1 / (n - 1))
    np.fill_diagonal(u, (n - b) / (n - 1) / b)
    q, over_epoch = pushes.T @ u @ pushes, np.linalg.matrix_power(m, updates)
    variance = np.linalg.solve(np.eye(4) - np.kron(over_epoch, over_epoch), q.ravel())
    return variance[0]


class Positions(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(np.concatenate(self.model.get_weights()))


# rate, momentum, batch size of 480 examples, whether V = g·a/2N holds there
REGIMES = [(0.1, 0.0, 2, True), (0.1, 0.0, 4, True), (0.02, 0.9, 2, True), (0.1, 0.0, 48, False), (0.1, 0.0, 480, False)]


@pytest.mark.parametrize("rate, momentum, b, holds", REGIMES)
def test_the_stationary_variance_follows_the_noise_scale_until_the_batch_nears_the_data(rate, momentum, b, holds):
    """V = ηa/(2b(1 − μ)) = g·a/2N where updates forget within an epoch (lecture, section 4); it is measured, and known exactly.

    With larger batches it lies below, long before b = N: what an epoch leaves out of one batch it puts into another, so that
    noise that is remembered over an epoch cancels.
    """
    problem, noise, positions = Quadratic(40, curvature=1.0, n=480), NoiseScale(interval=1), Positions()
    optimizer = tfnn.optimizers.SGD(rate, momentum=momentum)
    _, history = fit(problem, optimizer, [noise, positions], b // 2, 2, epochs=200)
    g = history.history["noise_scale"][-1]
    np.testing.assert_allclose(g, rate * 480 / (b * (1 - momentum)), rtol=1e-5)
    law, exact = g / (2 * 480), stationary_variance(480, b, rate, 1.0, momentum)
    seen = np.array(positions.seen)[50:]  # (epochs, coordinates), of mean 0
    memory = (1 - rate / (1 - momentum)) ** (2 * 480 // b)  # of a square, over an epoch
    error = np.sqrt(2 / seen.size * (1 + memory) / (1 - memory))  # of the variance, relative
    assert abs(np.mean(seen**2) - exact) < 5 * error * exact + 1e-10
    assert abs(exact / law - 1) < 0.15 if holds else exact < 0.1 * law
