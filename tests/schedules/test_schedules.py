"""Schedules by table: name, schedule, [(step, rate)] at the start, about each boundary, at the end and beyond."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfnn import controls
from tfnn.schedules import (
    Cosine,
    CosineDecayRestarts,
    ExponentialDecay,
    InEpochs,
    InverseTimeDecay,
    OneCycle,
    PiecewiseConstantDecay,
    PolynomialDecay,
    StepDecay,
    Warmup,
    linear_scaling,
)


def half_cosine(share, low=0.0, high=0.1):
    return low + (high - low) * (1 + np.cos(np.pi * share)) / 2


TABLE = [
    ("cosine", Cosine(0.1, 100), [(0, 0.1), (1, half_cosine(0.01)), (50, 0.05), (99, half_cosine(0.99)), (100, 0), (101, 0)]),
    ("cosine to a floor", Cosine(0.1, 100, alpha=0.2), [(0, 0.1), (50, 0.06), (100, 0.02), (10**12, 0.02)]),
    (
        "warm-up",
        Warmup(Cosine(0.1, 100), 10),
        [
            (0, 0),
            (5, half_cosine(0.1) / 2),
            (9, 0.9 * half_cosine(0.1)),
            (10, half_cosine(0.1)),
            (11, half_cosine(0.11)),
            (100, 0),
        ],
    ),
    ("warm-up from a part", Warmup(Cosine(0.1, 100), 10, start=0.5), [(0, half_cosine(0.1) / 2), (10, half_cosine(0.1))]),
    ("no warm-up", Warmup(Cosine(0.1, 100), 0), [(0, 0.1), (1, half_cosine(0.01))]),
    ("in epochs", InEpochs(Cosine(0.1, 10), steps_per_epoch=20), [(0, 0.1), (100, 0.05), (199, half_cosine(0.995)), (200, 0)]),
    ("exponential", ExponentialDecay(0.1, 10, 0.5), [(0, 0.1), (5, 0.1 * 0.5**0.5), (10, 0.05), (1000, 0.1 * 0.5**100)]),
    ("staircase", ExponentialDecay(0.1, 10, 0.5, staircase=True), [(0, 0.1), (9, 0.1), (10, 0.05), (19, 0.05), (20, 0.025)]),
    ("inverse time", InverseTimeDecay(0.1, 10, 2), [(0, 0.1), (5, 0.05), (10, 0.1 / 3), (45, 0.01), (10**9, 0.1 / (2e8 + 1))]),
    (
        "1/t staircase",
        InverseTimeDecay(0.1, 10, 1, staircase=True),
        [(0, 0.1), (9, 0.1), (10, 0.05), (19, 0.05), (20, 0.1 / 3)],
    ),
    ("linear", PolynomialDecay(0.1, 100, 0.02), [(0, 0.1), (1, 0.0992), (50, 0.06), (99, 0.0208), (100, 0.02), (101, 0.02)]),
    ("square", PolynomialDecay(0.1, 100, 0, power=2), [(0, 0.1), (50, 0.025), (99, 1e-5), (100, 0), (10**9, 0)]),
    ("in cycles", PolynomialDecay(0.1, 10, 0, cycle=True), [(0, 0.1), (9, 0.01), (10, 0), (11, 0.045), (20, 0), (25, 0.1 / 6)]),
    (
        "piecewise",
        PiecewiseConstantDecay([10, 20], [0.1, 0.3, 0.02]),
        [(0, 0.1), (9, 0.1), (10, 0.1), (11, 0.3), (20, 0.3), (21, 0.02), (10**12, 0.02)],
    ),
    ("constant", PiecewiseConstantDecay([], [0.1]), [(0, 0.1), (10**12, 0.1)]),
    ("step", StepDecay(0.1, 30), [(0, 0.1), (29, 0.1), (30, 0.01), (31, 0.01), (59, 0.01), (60, 0.001), (90, 0.0001)]),
    ("milestones", StepDecay(0.1, [30, 80], 0.2), [(0, 0.1), (29, 0.1), (30, 0.02), (79, 0.02), (80, 0.004), (10**12, 0.004)]),
    (
        "restarts",
        CosineDecayRestarts(0.1, 10, t_mul=2, m_mul=0.5, alpha=0.2),
        [
            (0, 0.1),
            (5, 0.06),
            (9, half_cosine(0.9, 0.02)),
            (10, 0.06),  # half of the height above 0.02
            (11, half_cosine(0.05, 0.02, 0.06)),
            (29, half_cosine(0.95, 0.02, 0.06)),
            (30, 0.04),
            (70, 0.03),
        ],
    ),
    (
        "equal periods",
        CosineDecayRestarts(0.1, 10, t_mul=1),
        [(0, 0.1), (9, half_cosine(0.9)), (10, 0.1), (25, 0.05), (30, 0.1)],
    ),
    ("tenfold periods", CosineDecayRestarts(0.1, 9, t_mul=10), [(0, 0.1), (9, 0.1), (99, 0.1), (999, 0.1), (9_999_999, 0.1)]),
    (
        "one cycle",
        OneCycle(0.1, 100, pct_start=0.2, div_factor=10, final_div_factor=100),
        [
            (0, 0.01),
            (1, half_cosine(0.05, 0.1, 0.01)),
            (10, 0.055),
            (19, half_cosine(0.95, 0.1, 0.01)),
            (20, 0.1),
            (21, half_cosine(1 / 80, 1e-4)),
            (60, 0.05005),
            (99, half_cosine(79 / 80, 1e-4)),
            (100, 1e-4),
            (101, 1e-4),
        ],
    ),
    (
        "one cycle of the paper",
        OneCycle(0.1, 100, 0.4, "linear", div_factor=10, final_div_factor=100, three_phase=True),
        [(0, 0.01), (20, 0.055), (40, 0.1), (41, 0.09775), (80, 0.01), (90, 0.00505), (100, 1e-4), (10**12, 1e-4)],
    ),
    ("scaled", Cosine(linear_scaling(0.1, 1024), 100), [(0, 0.4), (100, 0)]),
]
SCHEDULES = pytest.mark.parametrize("schedule", [row[1] for row in TABLE], ids=[row[0] for row in TABLE])


@pytest.mark.parametrize("schedule, points", [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_rates(schedule, points):
    for step, rate in points:
        np.testing.assert_allclose(schedule(step), rate, rtol=1e-6, atol=1e-9)


@SCHEDULES
def test_a_vector_of_steps_gives_the_vector_of_rates(schedule):
    np.testing.assert_array_equal(schedule(tf.range(120)), [schedule(step) for step in range(120)])


LONG = 2**25
SLOPES = [
    Cosine(1.0, LONG),
    PolynomialDecay(1.0, LONG),
    ExponentialDecay(1.0, LONG, 0.1),
    InverseTimeDecay(1.0, LONG, 5),
    CosineDecayRestarts(1.0, LONG),
    OneCycle(1.0, LONG),
    Warmup(ExponentialDecay(1.0, LONG, 0.9), LONG),
    InEpochs(Cosine(1.0, 100), LONG // 100),
]


@pytest.fixture
def float64():
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


@pytest.mark.parametrize("schedule", SLOPES, ids=lambda schedule: schedule.name)
def test_each_single_step_counts_beyond_float32(schedule, float64):
    """2²⁴ + 1 is no float32: a schedule that casts to float32 first stands still at every other step."""
    rates = [tf.function(schedule)(tf.constant(2**24 + step, tf.int64)) for step in range(5)]
    steps = np.diff(rates)
    assert steps[0] != 0
    np.testing.assert_allclose(steps, steps[0], rtol=1e-5)


def test_steps_and_boundaries_are_exact_beyond_float32():
    for n in 2**24, 2**36:
        steps = tf.constant([n, n + 1, n + 2], tf.int64)
        np.testing.assert_array_equal(StepDecay(1.0, n + 1, 0.5)(steps), [1, 0.5, 0.5])
        np.testing.assert_array_equal(StepDecay(1.0, [n + 1], 0.5)(steps), [1, 0.5, 0.5])
        np.testing.assert_array_equal(PiecewiseConstantDecay([n + 1], [1, 2])(steps), [1, 1, 2])


@pytest.mark.parametrize("t, periods", [(0.3, 3), (0.7, 7)])
def test_a_period_may_be_a_part_of_an_epoch(t, periods):
    """Rounding puts 0.3 / 0.1 and 0.7 / 0.1 below 3 and 7."""
    assert t / 0.1 < periods
    for schedule in StepDecay(1, 0.1, 0.5), CosineDecayRestarts(1, 0.1, t_mul=1, m_mul=0.5):
        np.testing.assert_allclose(schedule(t), 0.5**periods, rtol=1e-6)
    np.testing.assert_allclose(InverseTimeDecay(1, 0.1, 1, staircase=True)(t), 1 / (1 + periods), rtol=1e-6)


@pytest.mark.parametrize("t_mul", [1, 1.5, 2, 3, 5, 7, 10])
def test_restarts_come_at_the_very_step(t_mul):
    """The numpy reference counts T_cur up to T_i and then begins anew, as the paper does."""
    schedule, first = CosineDecayRestarts(0.1, 16, t_mul, m_mul=0.9), 16
    begin, length, restart = 0, first, 0
    while begin < 20_000 and length == int(length) and restart < 50:
        top = 0.1 * 0.9**restart
        expected = [half_cosine((t - begin) / length, high=top) for t in (begin, begin + 1, begin + length - 1)]
        rates = [float(schedule(int(t))) for t in (begin, begin + 1, begin + length - 1)]
        np.testing.assert_allclose(rates, expected, rtol=1e-5)
        begin, length, restart = begin + length, length * t_mul, restart + 1
    assert restart > 3


KERAS = [
    (ExponentialDecay, (0.3, 12, 0.7), {}),
    (ExponentialDecay, (0.3, 12, 0.7), {"staircase": True}),
    (InverseTimeDecay, (0.3, 12, 0.7), {}),
    (InverseTimeDecay, (0.3, 12, 0.7), {"staircase": True}),
    (PolynomialDecay, (0.3, 50), {}),
    (PolynomialDecay, (0.3, 50, 0.01), {"power": 0.5}),
    (PolynomialDecay, (0.3, 16, 0.01, 2.0, True), {}),
    (PiecewiseConstantDecay, ([10, 20, 40], [0.3, 0.1, 0.2, 0.05]), {}),
    (CosineDecayRestarts, (0.3, 12), {}),
    (CosineDecayRestarts, (0.3, 12, 1.0, 0.8, 0.1), {}),
    (CosineDecayRestarts, (0.3, 12, 1.5, 0.8, 0.1), {}),
]


@pytest.mark.parametrize("schedule, args, options", KERAS)
def test_importing_from_tfnn_changes_nothing_but_the_precision(schedule, args, options):
    ours, theirs = schedule(*args, **options), getattr(keras.optimizers.schedules, schedule.__name__)(*args, **options)
    assert ours.get_config() == theirs.get_config()
    for step in range(100):
        np.testing.assert_allclose(ours(step), theirs(step), rtol=2e-5, atol=1e-7)


def test_cosine_agrees_with_keras():
    ours, theirs = Cosine(0.3, 50, alpha=0.1), keras.optimizers.schedules.CosineDecay(0.3, 50, alpha=0.1)
    for step in range(0, 60, 7):
        np.testing.assert_allclose(ours(step), theirs(step), rtol=1e-5)


@pytest.mark.parametrize(
    "schedule, same",
    [
        (StepDecay(0.1, 7, 0.3), ExponentialDecay(0.1, 7, 0.3, staircase=True)),
        (StepDecay(0.1, 7, 0.3), StepDecay(0.1, list(range(7, 120, 7)), 0.3)),
        (StepDecay(0.1, [7, 9], 0.3), PiecewiseConstantDecay([6, 8], [0.1, 0.03, 0.009])),  # for whole steps
        (PolynomialDecay(0.1, 50, 0), OneCycle(0.1, 50, 1e-9, "linear", 1, 1e9)),
        (CosineDecayRestarts(0.1, 200), Cosine(0.1, 200)),
        (Warmup(StepDecay(0.1, 7), 0), StepDecay(0.1, 7)),
        (InverseTimeDecay(0.1, 5, 1), InverseTimeDecay(0.1, 10, 2)),
    ],
)
def test_one_is_a_case_of_the_other(schedule, same):
    np.testing.assert_allclose(schedule(tf.range(120)), same(tf.range(120)), rtol=1e-6, atol=1e-9)


def test_linear_scaling_keeps_the_noise_scale():
    assert linear_scaling(0.1, 256) == 0.1 and linear_scaling(0.1, 8192) == 3.2
    assert linear_scaling(0.4, 32, base_batch_size=128) == 0.1


def test_warmup_wraps_a_keras_schedule():
    schedule = Warmup(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5), 20)  # 10 is a period, no end
    np.testing.assert_allclose(schedule(10), 0.5 * 0.1 * 0.5**2, rtol=1e-6)
    np.testing.assert_allclose(schedule(30), 0.0125, rtol=1e-6)


def keras_cosine(**options):
    return keras.optimizers.schedules.CosineDecay(0.1, 10, **options)


@pytest.mark.parametrize(
    "schedule, end",
    [
        (Cosine(0.1, 10), 10),
        (PolynomialDecay(0.1, 10), 10),
        (OneCycle(0.1, 10), 10),
        (keras_cosine(), 10),
        (keras_cosine(warmup_target=0.2, warmup_steps=5), 15),
        (keras.optimizers.schedules.PolynomialDecay(0.1, 10), 10),
        (Warmup(OneCycle(0.1, 10), 2), 10),
        (InEpochs(Warmup(keras_cosine(), 2), steps_per_epoch=20), 200),
    ],
)
def test_a_warm_up_is_shorter_than_its_schedule(schedule, end):
    Warmup(schedule, end - 0.5)
    for steps in end, end + 1:
        with pytest.raises(ValueError, match=f"steps={steps} of warm-up .* below the end of the schedule, {end}$"):
            Warmup(schedule, steps)


@pytest.mark.parametrize(
    "schedule",
    [
        ExponentialDecay(0.1, 10, 0.5),
        InverseTimeDecay(0.1, 10, 0.5),
        PolynomialDecay(0.1, 10, cycle=True),
        CosineDecayRestarts(0.1, 10),
        StepDecay(0.1, 10),
        StepDecay(0.1, [10]),
        PiecewiseConstantDecay([10], [0.1, 0.2]),
        InEpochs(Cosine(0.1, 10)),  # whose updates are not known here
        keras.optimizers.schedules.PolynomialDecay(0.1, 10, cycle=True),
        keras.optimizers.schedules.CosineDecayRestarts(0.1, 10),
    ],
)
def test_a_warm_up_may_be_long_where_the_schedule_goes_on(schedule):
    Warmup(schedule, 1000)


def test_in_epochs_reads_the_clock_of_the_run():
    run = controls.Controls(micro_batch=10)
    run.begin(rows=200, epoch=3)
    run.examples.assign_add(100)
    with controls.use(run):
        np.testing.assert_allclose(InEpochs(Cosine(0.1, 7))(0), 0.05, rtol=1e-6)
    with pytest.raises(ValueError, match="steps_per_epoch"):
        InEpochs(Cosine(0.1, 7))(0)


@SCHEDULES
def test_numbers_of_numpy_and_all_kinds_of_steps_are_taken(schedule):
    config = {name: np.float32(value) if isinstance(value, float) else value for name, value in schedule.get_config().items()}
    again = type(schedule).from_config(config)
    saved = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(again))
    steps = 12, 12.0, np.int32(12), np.float32(12), tf.constant(12), keras.Variable(12, dtype="int64"), tf.Variable(12.0)
    for step in steps:
        for same in again, saved, tf.function(again):
            np.testing.assert_allclose(same(step), schedule(12), rtol=1e-5)


def test_keras_sgd_trains_by_a_schedule_and_goes_on_after_a_reload(xy, tmp_path):
    """Fixed gradient: with a loss linear in w, plain SGD moves w by the sum of the rates."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    schedule = InEpochs(Warmup(StepDecay(0.1, [2, 3], 0.5), 1), steps_per_epoch=5)
    model.compile(keras.optimizers.SGD(schedule), "mean_absolute_error")  # of w · 1 against 100
    data = np.ones((10, 1), "float32"), np.full((10, 1), 100, "float32")
    model.fit(*data, batch_size=2, epochs=2, verbose=0)
    model.save(tmp_path / "m.keras")
    model = keras.saving.load_model(tmp_path / "m.keras")
    model.fit(*data, batch_size=2, epochs=4, initial_epoch=2, verbose=0)
    expected = 0.1 * sum(np.arange(5) / 5) + 5 * 0.1 + 5 * 0.05 + 5 * 0.025
    np.testing.assert_allclose(model.get_weights()[0], expected, rtol=1e-5)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Cosine(-0.1, 10), "initial_learning_rate=-0.1"),
        (lambda: Cosine(float("nan"), 10), "initial_learning_rate=nan must be at least 0 and finite"),
        (lambda: Cosine(0.1, 0), "decay_steps=0 must be positive"),
        (lambda: Cosine("0.1", 10), "initial_learning_rate='0.1' must be at least 0"),
        (lambda: PiecewiseConstantDecay(10, [0.1, 0.2]), "boundaries=10 must be a list"),
        (lambda: Cosine(0.1, 10, alpha=2), r"alpha=2 must be in \[0, 1\]"),
        (lambda: Warmup(Cosine(0.1, 10), 10), "steps=10 of warm-up .* the end of the schedule, 10"),
        (lambda: Warmup(Cosine(0.1, 10), -1), "steps=-1"),
        (lambda: Warmup(Cosine(0.1, 10), 2, start=1.5), "start=1.5"),
        (lambda: InEpochs(Cosine(0.1, 10), steps_per_epoch=0), "steps_per_epoch=0"),
        (lambda: ExponentialDecay(0.1, -1, 0.5), "decay_steps=-1 must be positive"),
        (lambda: ExponentialDecay(0.1, 10, 0), "decay_rate=0 must be positive"),
        (lambda: InverseTimeDecay(0.1, 10, -1), "decay_rate=-1 must be at least 0"),
        (lambda: PolynomialDecay(0.1, 10, -0.1), "end_learning_rate=-0.1 must be at least 0"),
        (lambda: PolynomialDecay(0.1, 10, power=-1), "power=-1 must be at least 0"),
        (lambda: PiecewiseConstantDecay([1, 2], [0.1, 0.2]), r"values=\[0.1, 0.2\] must be one more .* boundaries=\[1, 2\]"),
        (lambda: PiecewiseConstantDecay([2, 2], [0.1, 0.2, 0.3]), r"boundaries=\[2, 2\] must be .* rising"),
        (lambda: PiecewiseConstantDecay([2], [0.1, -0.2]), r"values=\[0.1, -0.2\] must be"),
        (lambda: CosineDecayRestarts(0.1, 0), "first_decay_steps=0 must be positive"),
        (lambda: CosineDecayRestarts(0.1, 10, t_mul=0.5), "t_mul=0.5 must be at least 1"),
        (lambda: CosineDecayRestarts(0.1, 10, m_mul=0), "m_mul=0 must be positive"),
        (lambda: StepDecay(0.1, 0), "decay_steps=0 must be a positive number or a list of rising positive ones"),
        (lambda: StepDecay(0.1, []), r"decay_steps=\[\] must be"),
        (lambda: StepDecay(0.1, [0, 10]), r"decay_steps=\[0, 10\] must be"),
        (lambda: StepDecay(0.1, [20, 10]), r"decay_steps=\[20, 10\] must be"),
        (lambda: OneCycle(0.1, 0), "total_steps=0 must be positive"),
        (lambda: OneCycle(0.1, 10, pct_start=1), r"pct_start=1 must be in \(0, 1\)"),
        (lambda: OneCycle(0.1, 10, pct_start=0.5, three_phase=True), r"pct_start=0.5 must be in \(0, 0.5\)"),
        (lambda: OneCycle(0.1, 10, anneal_strategy="cosine"), "anneal_strategy='cosine' must be one of cos, linear"),
        (lambda: OneCycle(0.1, 10, div_factor=0.5), "div_factor=0.5 must be at least 1"),
        (lambda: linear_scaling(-0.1, 32), "base_rate=-0.1 must be at least 0"),
        (lambda: linear_scaling(0.1, 0), "batch_size=0 must be positive"),
        (lambda: linear_scaling(0.1, 32, 0), "base_batch_size=0 must be positive"),
    ],
)
def test_refuses_what_is_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_wrappers_refuse_what_is_no_schedule():
    with pytest.raises(TypeError, match="LearningRateSchedule, got 0.1"):
        Warmup(0.1, 5)


def test_numbers_may_be_tensors_or_numpys():
    plain, given = Cosine(0.5, 10), Cosine(tf.constant(0.5), tf.constant(10))
    assert float(given(3)) == float(plain(3)) and given.get_config() == plain.get_config()
    assert Cosine(np.float32(0.5), np.int64(10)).get_config() == plain.get_config()
