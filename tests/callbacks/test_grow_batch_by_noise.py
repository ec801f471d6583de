"""The batch that follows the measured critical batch size."""

import math

import numpy as np
import pytest

import tfnn
from tests.callbacks.test_noise_scale import N, Quadratic, fit
from tfnn.callbacks import GrowBatchByNoise
from tfnn.callbacks.grow_batch_by_noise import grown


@pytest.mark.parametrize(
    "batch_size, critical, target, most, size",
    [
        (32, 10.0, 1.0, 512, 32),  # never shrinks
        (32, 50.0, 1.0, 512, 48),  # whole micro-batches of 16
        (32, 50.0, 0.5, 512, 32),
        (32, 30.0, 2.0, 512, 48),
        (32, 1e6, 1.0, 512, 64),  # doubles at most
        (32, math.inf, 1.0, 512, 64),
        (32, math.inf, 1.0, 60, 48),
        (512, math.inf, 1.0, 512, 512),
    ],
)
def test_the_rule(batch_size, critical, target, most, size):
    assert grown(batch_size, critical, target, 16, most) == size


def test_the_batch_grows_to_the_critical_one_of_a_known_loss():
    """B_simple is 11.1 at the fixed point, from 4 examples on: 4, 8, then 8 to 12. It tells what NoiseScale does."""
    problem = Quadratic(40, start=0.3)
    growth = GrowBatchByNoise(max_batch_size=N, interval=1, smoothing=0.99)
    _, history = fit(problem, tfnn.optimizers.SGD(0.0), [growth], 2, 2, 12)
    assert history.batch_sizes[:2] == [4, 8] and history.batch_sizes == sorted(history.batch_sizes)
    assert 10 <= history.batch_sizes[-1] <= 14 and history.traces == 1
    assert {"critical_batch_size", "noise_scale"} <= set(history.history)


def test_a_target_is_a_share_and_the_maximum_holds():
    for options, last in ({"target": 0.5, "max_batch_size": N}, (4, 6)), ({"target": 4.0, "max_batch_size": 24}, (24, 24)):
        growth = GrowBatchByNoise(interval=1, smoothing=0.99, **options)
        _, history = fit(Quadratic(40, start=0.3), tfnn.optimizers.SGD(0.0), [growth], 2, 2, 8)
        assert last[0] <= history.batch_sizes[-1] <= last[1]


def test_by_default_a_tenth_of_the_examples_is_the_maximum():
    growth = GrowBatchByNoise(target=100.0, interval=1)
    _, history = fit(Quadratic(8, start=0.1), tfnn.optimizers.SGD(0.0), [growth], 2, 2, 5)
    assert history.batch_sizes[-1] == 8  # of 96: 9, in micro-batches of 2


def test_a_resumed_run_grows_alike(tmp_path):
    def run(epochs, callbacks, **options):
        growth = GrowBatchByNoise(max_batch_size=N, interval=2)
        model, history = fit(Quadratic(8, 0.5), tfnn.optimizers.SGD(0.1), [growth, *callbacks], 4, 2, epochs, **options)
        return model.get_weights(), history.batch_sizes

    save = lambda: [tfnn.callbacks.Checkpoint(tmp_path, save_freq=5, monitor="loss")]
    whole, sizes = run(6, [])
    run(3, save())
    resumed, again = run(6, save(), resume=tmp_path)
    assert again[-3:] == sizes[-3:] and sizes[-1] > 8
    for a, b in zip(resumed, whole):
        np.testing.assert_array_equal(a, b)


BAD = {
    "target=0": ({"target": 0}, "target=0 must be positive and finite"),
    "target=nan": ({"target": math.nan}, "target=nan must"),
    "target=inf": ({"target": math.inf}, "target=inf must"),
    "max_batch_size=64.0": ({"max_batch_size": 64.0}, "max_batch_size=64.0 must be a positive integer or None"),
    "max_batch_size=-1": ({"max_batch_size": -1}, "max_batch_size=-1 must be a positive"),
    "max_batch_size=True": ({"max_batch_size": True}, "max_batch_size=True must be a positive"),
    "interval=0": ({"interval": 0}, "interval=0 must"),
}


@pytest.mark.parametrize("case", BAD)
def test_arguments_are_checked_at_once(case):
    arguments, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        GrowBatchByNoise(**arguments)


@pytest.mark.parametrize(
    "most, accumulate, message",
    [
        (12, 2, "max_batch_size=12 must be between the batch size of 16 that the run begins with and the 96 training examples"),
        (97, 2, "max_batch_size=97 must be between the batch size of 16 .* and the 96 training examples"),
        (64, 1, "GrowBatchByNoise needs two micro-batches to begin with: give tfnn.fit accumulate=2 or more"),
    ],
)
def test_what_it_cannot_begin_with_is_refused(most, accumulate, message):
    with pytest.raises(ValueError, match=message):
        fit(Quadratic(4), tfnn.optimizers.SGD(0.1), [GrowBatchByNoise(max_batch_size=most)], 8, accumulate, 1)


def test_under_model_fit_it_says_what_to_call():
    problem = Quadratic(4)
    with pytest.raises(RuntimeError, match="GrowBatchByNoise .* call tfnn.fit"):
        problem.model(tfnn.optimizers.SGD(0.1)).fit(problem.x, problem.x, verbose=0, callbacks=[GrowBatchByNoise()])
