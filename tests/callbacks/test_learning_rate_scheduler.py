"""The rate that a callback sets, by epoch and by update."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.callbacks.test_steered_rate import EACH_FIT, compiled, train, weights_by_hand
from tfnn.callbacks import LearningRateScheduler, ReduceLROnPlateau

STEP = tfnn.schedules.StepDecay(0.5, 1, 0.5)
BY_EPOCH = {
    "a function of the epoch": (lambda epoch: 0.5**epoch, [1, 0.5, 0.25]),
    "a function of epoch and rate": (lambda epoch, rate: rate / 2, [0.25, 0.125, 0.0625]),
    "a function with a default": (lambda epoch, rate=None: 0.5 if rate is None else 2 * rate, [1, 2, 4]),
    "a dict": ({1: 0.25, 2: 0.125}, [0.5, 0.25, 0.125]),
    "a dict with gaps": ({0: 1, 2: 0.5}, [1, 1, 0.5]),
    "a schedule": (STEP, [0.5, 0.25, 0.125]),
    "a schedule in Keras": (keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.5, 0.25]), [0.5, 0.5, 0.25]),
    "a tensor": (lambda epoch: tf.constant(0.25), [0.25] * 3),
}
BY_UPDATE = {
    "a function of the update": (lambda update: 0.5 / (1 + update), [0.5 / (1 + t) for t in range(12)]),
    "a function of update and rate": (lambda update, rate: rate * 0.5, [0.5 ** (2 + t) for t in range(12)]),
    "a dict": ({2: 0.25, 7: 0.125}, [0.5] * 2 + [0.25] * 5 + [0.125] * 5),
    "a schedule": (tfnn.schedules.StepDecay(0.5, 5, 0.5), [0.5] * 5 + [0.25] * 5 + [0.125] * 2),
    "a schedule in Keras": (keras.optimizers.schedules.PiecewiseConstantDecay([3], [0.5, 0.25]), [0.5] * 4 + [0.25] * 8),
}


def each(table):
    return pytest.mark.parametrize("schedule, rates", table.values(), ids=table)


@EACH_FIT
@each(BY_EPOCH)
def test_by_epoch(schedule, rates, fit):
    model = compiled(tfnn.optimizers.SGD(0.5))
    history = train(fit, model, LearningRateScheduler(schedule), epochs=3).history
    assert history["learning_rate"] == rates
    for found, wanted in zip(model.get_weights(), weights_by_hand([rate for rate in rates for _ in range(6)])):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@EACH_FIT
@each(BY_UPDATE)
def test_by_update(schedule, rates, fit):
    model = compiled(tfnn.optimizers.SGD(0.5))
    train(fit, model, LearningRateScheduler(schedule, by="update"), epochs=2)
    for found, wanted in zip(model.get_weights(), weights_by_hand(rates)):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@EACH_FIT
@each(BY_UPDATE)
def test_updates_are_counted_over_several_runs(schedule, rates, fit):
    once, twice = compiled(tfnn.optimizers.SGD(0.5)), compiled(tfnn.optimizers.SGD(0.5))
    callback = LearningRateScheduler(schedule, by="update")
    train(fit, once, callback, epochs=2)
    for _ in range(2):
        train(fit, twice, callback)
    for found, wanted in zip(twice.get_weights(), once.get_weights()):
        np.testing.assert_array_equal(found, wanted)


def heard(schedule, updates=12):
    """The updates before which a run asks for a rate, where it only comes when it is asked to."""
    callback, update, asked = LearningRateScheduler(schedule, by="update"), 0, []
    while (due := callback.updates_until_due(update)) and update + due < updates:
        asked.append(update := update + due)
    return asked


def test_only_a_function_is_asked_at_each_update():
    assert heard(lambda update: 0.1) == list(range(1, 12))
    assert heard({0: 0.1, 2: 0.2, 7: 0.1}) == [2, 7]
    assert heard(tfnn.schedules.OneCycle(0.5, 12)) == []


@EACH_FIT
@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: tfnn.schedules.Warmup(s, 3)], ids=["one cycle", "warmed up"])
def test_a_schedule_by_update_is_that_of_an_optimizer_compiled_with_it(wrap, fit):
    one_cycle = wrap(tfnn.schedules.OneCycle(0.5, 12))
    built_in, steered = compiled(tfnn.optimizers.SGD(one_cycle)), compiled(tfnn.optimizers.SGD(0.1))
    train(fit, built_in, epochs=2)
    train(fit, steered, LearningRateScheduler(one_cycle, by="update"), epochs=2)
    for found, wanted in zip(steered.get_weights(), built_in.get_weights()):
        np.testing.assert_array_equal(found, wanted)


def test_one_cycle_in_epochs_is_that_in_updates_in_both_fits():
    """A float32 number per update, from examples seen / N under `tfnn.fit` and updates / steps_per_epoch under `model.fit`."""
    weights = []
    for fit in tfnn.fit, lambda model, *arrays, **options: model.fit(*arrays, **options):
        for schedule in (
            tfnn.schedules.OneCycle(0.5, 12),
            tfnn.schedules.InEpochs(tfnn.schedules.OneCycle(0.5, 2), steps_per_epoch=6),
        ):
            model = compiled(tfnn.optimizers.SGD(0.1))
            train(fit, model, LearningRateScheduler(schedule, by="update"), epochs=2)
            weights.append(model.get_weights())
    rates = [float(tfnn.schedules.OneCycle(0.5, 12)(t)) for t in range(12)]
    assert max(rates) > 10 * min(rates)
    for found in weights:
        for array, wanted in zip(found, weights_by_hand(rates)):
            np.testing.assert_allclose(array, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("first", ["scheduler", "plateau"])
@EACH_FIT
def test_a_schedule_by_update_is_scaled_on_a_plateau_whichever_comes_first(fit, first):
    scheduler = LearningRateScheduler(tfnn.schedules.StepDecay(0.5, 6, 0.5), by="update")
    plateau = ReduceLROnPlateau("loss", 0.25, patience=1, min_delta=9)
    callbacks = [scheduler, plateau] if first == "scheduler" else [plateau, scheduler]
    model = compiled(tfnn.optimizers.SGD(0.1))
    train(fit, model, *callbacks, epochs=3)
    rates = [0.5] * 6 + [0.25] * 6 + [0.125 * 0.25] * 6
    for found, wanted in zip(model.get_weights(), weights_by_hand(rates)):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_it_tells_of_each_epochs_rate(capsys):
    train(tfnn.fit, compiled("sgd"), LearningRateScheduler({0: 1, 1: 0.125}, verbose=1), epochs=2)
    assert capsys.readouterr().out.split("\n")[1::2] == [
        "Epoch 1: LearningRateScheduler setting learning rate to 1.0.",
        "Epoch 2: LearningRateScheduler setting learning rate to 0.125.",
    ]


def test_a_type_error_inside_a_function_is_not_hidden():
    with pytest.raises(TypeError, match="unsupported operand"):
        train(tfnn.fit, compiled("sgd"), LearningRateScheduler(lambda epoch, rate: rate / None))


@EACH_FIT
@pytest.mark.parametrize("by", ["epoch", "update"])
@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf"), "0.1x", None])
def test_a_rate_that_is_none_is_refused(rate, by, fit):
    if rate is None:
        rate = [0.1, 0.2]
    with pytest.raises(ValueError, match=f"the learning rate of {by} 0 must be a finite number of at least 0, got"):
        train(fit, compiled("sgd"), LearningRateScheduler(lambda time: rate, by=by))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"by": "batch"}, "by='batch' must be 'epoch' or 'update'"),
        ({"by": 1}, "by=1 must be"),
        ({"schedule": 0.1}, r"schedule=0.1 must be a LearningRateSchedule, a dict \{epoch: rate\} or a function"),
        ({"schedule": {0.5: 0.1}}, "an epoch of the schedule must be an integer of at least 0, got 0.5"),
        ({"schedule": {-1: 0.1}, "by": "update"}, "an update of the schedule must be an integer of at least 0, got -1"),
        ({"schedule": {0: 0.1, 3: -1}}, "the learning rate from epoch 3 on must be a finite number of at least 0, got -1"),
        ({"schedule": {}}, "schedule={} must"),
    ],
)
def test_arguments_are_checked_at_once(arguments, message):
    with pytest.raises(ValueError, match=message):
        LearningRateScheduler(**{"schedule": {0: 0.1}, **arguments})
