"""Schedules by table: name, schedule, [(step, rate)] at the start, about each boundary, at the end and beyond."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfnn import controls
from tfnn.schedules import Cosine, InEpochs, Warmup


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
]


@pytest.mark.parametrize("schedule, points", [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_rates(schedule, points):
    for step, rate in points:
        np.testing.assert_allclose(schedule(step), rate, rtol=1e-6, atol=1e-9)


def test_single_steps_count_beyond_float32():
    """2²⁴ + 1 is no float32: a schedule that casts to float32 first would stand still here."""
    schedule = Cosine(1.0, 2**25)
    rates = [np.float64(schedule(tf.constant(2**24 + offset, tf.int64))) for offset in (0, 2**10 + 1)]
    expected = [half_cosine((2**24 + offset) / 2**25, high=1.0) for offset in (0, 2**10 + 1)]
    np.testing.assert_allclose(np.diff(rates), np.diff(expected), rtol=2e-3)


def test_cosine_agrees_with_keras():
    ours, theirs = Cosine(0.3, 50, alpha=0.1), keras.optimizers.schedules.CosineDecay(0.3, 50, alpha=0.1)
    for step in range(0, 60, 7):
        np.testing.assert_allclose(ours(step), theirs(step), rtol=1e-5)


def test_warmup_wraps_a_keras_schedule():
    schedule = Warmup(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5), 20)  # 10 is a period, no end
    np.testing.assert_allclose(schedule(10), 0.5 * 0.1 * 0.5**2, rtol=1e-6)
    np.testing.assert_allclose(schedule(30), 0.0125, rtol=1e-6)


def test_in_epochs_reads_the_clock_of_the_run():
    run = controls.Controls(micro_batch=10)
    run.begin(rows=200, epoch=3)
    run.examples.assign_add(100)
    with controls.use(run):
        np.testing.assert_allclose(InEpochs(Cosine(0.1, 7))(0), 0.05, rtol=1e-6)
    with pytest.raises(ValueError, match="steps_per_epoch"):
        InEpochs(Cosine(0.1, 7))(0)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Cosine(-0.1, 10), "initial_learning_rate=-0.1"),
        (lambda: Cosine(0.1, 0), "decay_steps=0"),
        (lambda: Cosine(0.1, 10, alpha=2), "alpha=2"),
        (lambda: Warmup(Cosine(0.1, 10), 10), "steps=10 of warm-up .* decay_steps=10"),
        (lambda: Warmup(Cosine(0.1, 10), -1), "steps=-1"),
        (lambda: Warmup(Cosine(0.1, 10), 2, start=1.5), "start=1.5"),
        (lambda: InEpochs(Cosine(0.1, 10), steps_per_epoch=0), "steps_per_epoch=0"),
    ],
)
def test_refuses_what_is_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_wrappers_refuse_what_is_no_schedule():
    with pytest.raises(TypeError, match="LearningRateSchedule, got 0.1"):
        Warmup(0.1, 5)
