"""The rule of a plateau, and the callbacks that act on it."""

import math
import warnings

import keras
import numpy as np
import pytest

import tfnn
from tests.callbacks.test_steered_rate import EACH_FIT, compiled, train
from tfnn import controls
from tfnn.callbacks import GrowBatchOnPlateau, ReduceLROnPlateau
from tfnn.callbacks.plateau import watch


class Metric(keras.metrics.Mean):
    """It does not tell which way is better."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(y_pred)


def due(values, sign=-1, patience=2, min_delta=0.0, cooldown=0, acts=lambda epoch: True):
    """The epochs in which the rule says that it is time to act."""
    best, wait, cooling, found = None, 0, 0, []
    for epoch, value in enumerate(values):
        best, wait, cooling, now = watch(value, best, wait, cooling, sign, patience, min_delta)
        if now:
            found.append(epoch)
            if acts(epoch):
                wait, cooling = 0, cooldown
    return found


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    "values, settings, epochs",
    [
        ([3, 2, 1, 0], {}, []),
        ([1, 1, 1, 1, 1, 1], {}, [2, 4]),
        ([1, 2, 0.5, 1, 1, 0.4], {}, [4]),
        ([1, 2, 3, 4, 5], {"sign": 1}, []),
        ([5, 4, 3, 2, 1], {"sign": 1}, [2, 4]),
        ([1, 0.9, 0.8, 0.7], {"min_delta": 0.25}, [2]),
        ([1, 0.75, 0.75, 0.5], {"min_delta": 0.25}, [2]),  # by just min_delta is no improvement
        ([1] * 8, {"cooldown": 2}, [2, 5]),
        ([1] * 8, {"patience": 1, "cooldown": 1}, [1, 2, 3, 4, 5, 6, 7]),  # the epoch that ends a cooldown counts
        ([1] * 8, {"patience": 1, "cooldown": 2}, [1, 3, 5, 7]),
        ([1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5], {"cooldown": 3}, [2, 6]),
        ([1] * 5, {"patience": 0}, [1, 2, 3, 4]),
        ([1] * 6, {"acts": lambda epoch: epoch > 3}, [2, 3, 4]),  # what could not be done is tried again
        ([NAN, 1, NAN, NAN, 0.5], {}, [3]),
        ([NAN, NAN, NAN], {}, [1]),
        ([INF, INF, 1, 1], {}, [1]),
    ],
)
def test_when_it_is_time_to_act(values, settings, epochs):
    assert due(values, **settings) == epochs


def fed(callback, values, model, name="val_loss"):
    """The rates that a callback logs and leaves over epochs that end with `values`."""
    callback.set_model(model)
    callback.on_train_begin()
    rates = []
    for epoch, value in enumerate(values):
        logs = {name: value}
        callback.on_epoch_end(epoch, logs)
        rates.append((logs["learning_rate"], float(model.optimizer.learning_rate)))
    return rates


SETTINGS = [
    {},
    {"patience": 1},
    {"patience": 2, "cooldown": 2},
    {"patience": 1, "min_delta": 0.25, "min_lr": 0.02},
    {"patience": 1, "mode": "max", "factor": 0.7, "min_lr": 1e-3},
    {"patience": 3, "cooldown": 1, "factor": 0.3},
    {"patience": 0, "cooldown": 3},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_it_reduces_when_and_to_what_kerass_does(settings):
    values = (np.random.RandomState(3).randint(0, 9, 40) / 8).tolist()
    ours, theirs = (
        fed(callback(**settings), values, compiled(keras.optimizers.SGD(0.1)))
        for callback in (ReduceLROnPlateau, keras.callbacks.ReduceLROnPlateau)
    )
    assert ours == theirs and (settings == {} or len(set(ours)) > 2)


def test_under_a_schedule_it_scales_all_that_follows():
    model = compiled(tfnn.optimizers.SGD(tfnn.schedules.StepDecay(1.0, 2, 0.5)))
    callback = ReduceLROnPlateau("loss", factor=0.25, patience=1)
    callback.set_model(model)
    callback.on_train_begin()
    rates = []
    for epoch in range(4):
        model.optimizer.iterations.assign(epoch)
        callback.on_epoch_end(epoch, {"loss": 1.0})
        rates.append(float(model.optimizer.learning_rate))
    assert rates == [1.0, 0.25, 0.5 * 0.25**2, 0.5 * 0.25**3]


@pytest.mark.parametrize("schedule", [False, True])
def test_no_reduction_goes_below_min_lr(schedule):
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([10], [0.1, 0.1]) if schedule else 0.1
    rates = fed(ReduceLROnPlateau(patience=1, min_lr=0.003), [1.0] * 5, compiled(tfnn.optimizers.SGD(rate)))
    lowest = float(np.float32(0.003))
    assert [after for _, after in rates] == pytest.approx([0.1, 0.01, 0.003, 0.003, 0.003])
    assert rates[-1][1] == lowest


@EACH_FIT
def test_it_reduces_in_a_run(fit):
    model = compiled(tfnn.optimizers.SGD(tfnn.schedules.StepDecay(0.5, 100, 0.5)))
    history = train(fit, model, ReduceLROnPlateau("loss", 0.5, patience=1, min_delta=9), epochs=4)
    assert history.history["learning_rate"] == [0.5, 0.5, 0.25, 0.125]


@EACH_FIT
@pytest.mark.parametrize(
    "monitor, mode, better",
    [("loss", "auto", "less"), ("accuracy", "auto", "more"), ("mine", "max", "more"), ("mine", "min", "less")],
)
def test_which_way_is_better(monitor, mode, better, fit):
    model = compiled("sgd")
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy", Metric("mine")], jit_compile=False)
    callback = ReduceLROnPlateau(monitor, mode=mode)
    train(fit, model, callback)
    assert {1: "more", -1: "less"}[callback.sign] == better


@EACH_FIT
def test_a_metric_that_does_not_tell_its_direction_is_refused(fit):
    model = compiled("sgd")
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[Metric("mine")], jit_compile=False)
    with pytest.raises(ValueError, match="monitor='mine' does not tell which way is better .*: give mode='min' or mode='max'"):
        train(fit, model, ReduceLROnPlateau("mine"))


def test_a_missing_entry_is_told_once_in_a_run():
    callback = ReduceLROnPlateau("val_los")
    with pytest.warns(UserWarning, match=r"ReduceLROnPlateau does nothing: monitor='val_los' is not in the logs") as told:
        train(tfnn.fit, compiled("sgd"), callback, epochs=3)
    assert [each.category for each in told].count(UserWarning) == 1  # an older Keras has warnings of NumPy's
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        callback.on_epoch_end(0, {"loss": 1.0})


def test_it_tells_of_a_reduction(capsys):
    fed(ReduceLROnPlateau(patience=1, verbose=1), [1.0, 1.0], compiled("sgd"))
    assert capsys.readouterr().out == "\nEpoch 2: ReduceLROnPlateau reducing learning rate to 0.001.\n"


def test_what_it_has_seen_goes_on_after_a_resume_and_not_into_a_new_run():
    callback, model = ReduceLROnPlateau(patience=2, cooldown=4), compiled("sgd")
    fed(callback, [0.5, 1.0], model)
    again = ReduceLROnPlateau(patience=2, cooldown=4)
    fed(again, [], model)
    again.set_state(callback.get_state())
    again.on_epoch_end(2, {"val_loss": 1.0})
    assert (again.best, again.wait, again.cooldown_counter) == (0.5, 0, 4)
    again.on_train_begin()
    assert (again.best, again.wait, again.cooldown_counter) == (None, 0, 0)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"factor": 1.0}, r"factor=1.0 must be in \(0, 1\)"),
        ({"factor": 0}, r"factor=0 must"),
        ({"factor": math.nan}, r"factor=nan must"),
        ({"patience": -1}, "patience=-1 must be an integer of at least 0"),
        ({"patience": 1.5}, "patience=1.5 must"),
        ({"cooldown": None}, "cooldown=None must"),
        ({"min_delta": -1e-4}, "min_delta=-0.0001 must be at least 0 and finite"),
        ({"min_delta": "0"}, "min_delta='0' must"),
        ({"min_lr": math.nan}, "min_lr=nan must"),
        ({"mode": "best"}, "mode='best' must be 'auto', 'min' or 'max'"),
        ({"monitor": None}, "monitor=None must be the name of an entry of the logs"),
    ],
)
def test_arguments_are_checked_at_once(arguments, message):
    with pytest.raises(ValueError, match=message):
        ReduceLROnPlateau(**arguments)


# Growth --------------------------------------------------------------------------------------------------------------


def sizes(callback, epochs=5, **options):
    history = train(tfnn.fit, compiled("sgd"), callback, epochs=epochs, **options)
    return history.batch_sizes


@pytest.mark.parametrize(
    "settings, wanted",
    [
        ({}, [4, 4, 8, 16, 24]),  # all 24 examples
        ({"max_batch_size": 16}, [4, 4, 8, 16, 16]),
        ({"max_batch_size": 12, "factor": 4}, [4, 4, 12, 12, 12]),
        ({"max_batch_size": 4}, [4] * 5),
        ({"patience": 2}, [4, 4, 4, 8, 8]),
        ({"cooldown": 2}, [4, 4, 8, 8, 16]),
        ({"factor": 1.5}, [4, 4, 8, 8, 16]),  # 6, 9, 14, in whole micro-batches
        ({"factor": 1.5, "accumulate": 2}, [8, 8, 12, 16, 24]),  # 12, 18, 24
    ],
)
def test_the_batch_grows_on_a_plateau(settings, wanted):
    fitted = {"accumulate": settings.pop("accumulate")} if "accumulate" in settings else {}
    assert sizes(GrowBatchOnPlateau(**{"monitor": "loss", "patience": 1, "min_delta": 9, **settings}), **fitted) == wanted


@pytest.mark.parametrize("mode", ["accumulate", "rebatch"])
def test_a_grown_batch_is_that_of_a_schedule(mode):
    """The weights are those of the same growth by a plan, and not those without it."""
    growth = GrowBatchOnPlateau("loss", patience=1, min_delta=9, max_batch_size=16, mode=mode)
    plan = tfnn.callbacks.BatchSizeScheduler({2: 8, 3: 16}, mode=mode)
    weights = []
    for callbacks in [growth], [plan], []:
        model = compiled(tfnn.optimizers.SGD(0.1))
        train(tfnn.fit, model, *callbacks, epochs=4)
        weights.append(model.get_weights()[0])
    np.testing.assert_array_equal(weights[0], weights[1])
    assert np.abs(weights[0] - weights[2]).max() > 1e-3


def test_growth_and_reduction_happen_in_the_same_epochs():
    model = compiled("sgd")
    values = (np.random.RandomState(3).randint(0, 9, 40) / 8).tolist()
    settings = {"patience": 2, "cooldown": 1, "min_delta": 0.25}
    reduced = [after for _, after in fed(ReduceLROnPlateau(**settings, factor=0.5), values, model)]
    growth, grown = GrowBatchOnPlateau(**settings), []
    with controls.use(controls.Controls(1)) as run:
        run.begin(rows=2**20, epoch=0)
        growth.set_model(model)
        growth.on_train_begin()
        for epoch, value in enumerate(values):
            growth.on_epoch_begin(epoch)
            growth.on_epoch_end(epoch, {"val_loss": value})
            grown.append(run.batch_size)
    np.testing.assert_allclose(0.01 / np.array(grown), reduced, rtol=1e-5)
    assert len(set(grown)) > 3


def test_growth_tells_of_itself(capsys):
    sizes(GrowBatchOnPlateau("loss", patience=1, min_delta=9, verbose=1), epochs=2)
    assert "\nEpoch 2: GrowBatchOnPlateau growing the batch to 8.\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"max_batch_size": 3}, "max_batch_size=3 must be between the batch size of 4 .* and the 24 training examples"),
        ({"max_batch_size": 25}, "max_batch_size=25 must be between"),
        ({"max_batch_size": 0}, "max_batch_size=0 must be a positive integer or None"),
        ({"max_batch_size": 16.0}, "max_batch_size=16.0 must be a positive integer or None"),
        ({"max_batch_size": True}, "max_batch_size=True must be a positive integer or None"),
        ({"factor": 1}, "factor=1 must be above 1 and finite"),
        ({"factor": math.inf}, "factor=inf must"),
        ({"patience": -1}, "patience=-1 must"),
        ({"direction": "up"}, "direction='up' must be 'auto', 'min' or 'max'"),
        ({"mode": "min"}, "mode='min' must be 'accumulate' or 'rebatch'"),
    ],
)
def test_growth_that_cannot_be_is_refused_before_the_first_update(settings, message):
    model = compiled("sgd")
    with pytest.raises(ValueError, match=message):
        train(tfnn.fit, model, GrowBatchOnPlateau("loss", **settings))
    assert int(model.optimizer.iterations) == 0
