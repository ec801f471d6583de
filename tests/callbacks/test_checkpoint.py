"""When a run is to be saved, and which epoch is the best."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tfnn import controls
from tfnn.callbacks import Checkpoint


def began(monitor="val_loss", mode="auto", metrics=("accuracy",), **options):
    """A `Checkpoint` at the start of a run."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=list(metrics))
    model._symbolic_build(data_batch=(tf.zeros((2, 4)), tf.zeros(2), None))
    callback = Checkpoint("somewhere", monitor=monitor, mode=mode, **options)
    callback.set_model(model)
    with controls.use(controls.Controls(2)):
        callback.on_train_begin()
    return callback


def updates_due(callback, updates, updates_per_epoch):
    return [n for n in range(1, updates + 1) if callback.due(n, epoch_end=n % updates_per_epoch == 0)]


def test_it_is_due_at_the_end_of_an_epoch_or_after_so_many_updates():
    assert updates_due(Checkpoint("d"), 9, 3) == [3, 6, 9]
    assert updates_due(Checkpoint("d", save_freq=np.int64(4)), 9, 3) == [4, 8]


def test_a_piece_of_the_run_may_end_where_it_is_due():
    callback = Checkpoint("d", save_freq=4)
    assert [callback.updates_until_due(n) for n in (0, 1, 3, 4, 6)] == [4, 3, 1, 4, 2]
    assert all(callback.due(n + callback.updates_until_due(n), epoch_end=False) for n in range(20))
    assert Checkpoint("d").updates_until_due(3) is None


@pytest.mark.parametrize(
    "monitor, mode, metrics, values, best",
    [
        ("val_loss", "auto", (), [3, 2, 2, 4, 1], [0, 1, 4]),
        ("loss", "auto", (), [3, 2, 2, 4, 1], [0, 1, 4]),
        ("val_accuracy", "auto", ("accuracy",), [3, 2, 3, 4, 1], [0, 3]),
        ("crossentropy", "auto", (keras.metrics.SparseCategoricalCrossentropy("crossentropy"),), [3, 2, 2, 4, 1], [0, 1, 4]),
        ("val_accuracy", "min", ("accuracy",), [3, 2, 2, 4, 1], [0, 1, 4]),
        ("val_loss", "max", (), [3, 2, 3, 4, 1], [0, 3]),
        ("mine", "max", (), [-np.inf, 2, np.inf, 4], [0, 1, 2]),
        ("val_loss", "auto", (), [np.nan, 2, np.nan, 1], [1, 3]),
        ("val_loss", "auto", (), [tf.constant(2.0), np.float32(1), np.array(3.0)], [0, 1]),
    ],
)
def test_the_best_epochs(monitor, mode, metrics, values, best):
    callback = began(monitor, mode, metrics)
    found = [epoch for epoch, value in enumerate(values) if callback.is_best(10 * epoch, {monitor: value, "other": 0})]
    assert found == best
    assert callback.best_update == 10 * best[-1] and callback.best == float(values[best[-1]])


def test_without_the_monitored_entry_none_is_best_and_it_warns_once():
    callback = began()
    with pytest.warns(UserWarning, match=r"monitor='val_loss' is not in the logs \(loss, accuracy\)"):
        assert not callback.is_best(1, {"loss": 1.0, "accuracy": 0.5})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not callback.is_best(2, {"loss": 1.0}) and not callback.is_best(3, None)
        assert callback.is_best(4, {"val_loss": 1.0})


def test_the_best_so_far_goes_on_after_a_resume_and_not_into_a_new_run():
    callback = began()
    assert callback.is_best(5, {"val_loss": 1.0})
    state = callback.get_state()
    again = began()
    again.set_state(state)
    assert not again.is_best(6, {"val_loss": 2.0}) and again.best_update == 5
    with controls.use(controls.Controls(2)):
        again.on_train_begin()
    assert again.is_best(7, {"val_loss": 2.0})


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"directory": None}, "directory=None must be a path"),
        ({"directory": ""}, "directory='' must be a path"),
        ({"save_freq": "batch"}, "save_freq='batch' must be 'epoch' or a positive number of updates"),
        ({"save_freq": 0}, "save_freq=0 must"),
        ({"save_freq": 2.0}, "save_freq=2.0 must"),
        ({"save_freq": True}, "save_freq=True must"),
        ({"max_to_keep": 0}, "max_to_keep=0 must be a positive number of checkpoints or None"),
        ({"mode": "best"}, "mode='best' must be 'auto', 'min' or 'max'"),
    ],
)
def test_arguments_are_checked_at_once(arguments, message):
    with pytest.raises(ValueError, match=message):
        Checkpoint(**{"directory": "d", **arguments})


@pytest.mark.parametrize("monitor, metrics", [("val_acc", ["accuracy"]), ("half", [lambda y, p: p, "accuracy"])])
def test_a_metric_that_does_not_tell_its_direction_is_refused_at_the_start(monitor, metrics):
    with pytest.raises(ValueError, match=f"monitor='{monitor}' does not tell which way is better .metrics: loss.*accuracy"):
        began(monitor, metrics=metrics)
    assert began(monitor, "max", metrics=metrics).is_best(1, {monitor: 0.5})


def test_under_model_fit_it_says_what_to_call(xy):
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(RuntimeError, match=r"Checkpoint steers tfnn.fit .* call tfnn.fit\(model, ...\), not model.fit"):
        model.fit(*xy, verbose=0, callbacks=[tfnn.callbacks.Checkpoint("d")])
