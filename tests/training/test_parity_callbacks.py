"""Callbacks see, and may do, under `tfnn.fit` what they see and may do under `model.fit`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training import oracle
from tests.training.oracle import HELD, X, Y, assert_same_run, compiled, dense, trained

CALLBACKS = keras.callbacks
VALIDATED = {"validation_data": HELD, "validation_batch_size": 12}
BOTH = keras.Model.fit, oracle.fit


HOOKS = [
    *(f"on_{part}_{when}" for part in ("train", "test", "epoch") for when in ("begin", "end")),
    *(f"on_{part}_batch_{when}" for part in ("train", "test") for when in ("begin", "end")),
]


def listener(act, hooks=HOOKS):
    """A callback whose `hooks` call act(model, hook, index, logs)."""

    def method(hook):
        if "batch" in hook or "epoch" in hook:
            return lambda self, index, logs=None: act(self.model, hook, index, logs)
        return lambda self, logs=None: act(self.model, hook, None, logs)

    return type("Listener", (CALLBACKS.Callback,), {hook: method(hook) for hook in hooks})()


def record(calls):
    return listener(
        lambda model, hook, index, logs: calls.append((hook, index, {k: float(v) for k, v in (logs or {}).items()}))
    )


class EachBatch(CALLBACKS.Callback):
    """Calls a function of the model, between batches."""

    def __init__(self, act, at=(1,)):
        super().__init__()
        self.act, self.at, self.found = act, at, []

    def on_train_batch_end(self, batch, logs=None):
        if batch in self.at:
            self.found.append(self.act(self.model))


class EachEpoch(EachBatch):
    on_train_batch_end = CALLBACKS.Callback.on_train_batch_end

    def on_epoch_end(self, epoch, logs=None):
        self.found.append(self.act(self.model))


def halve(model):
    model.set_weights([w / 2 for w in model.get_weights()])


def halve_rate(model):
    model.optimizer.learning_rate = float(model.optimizer.learning_rate) / 2


PREDICT, EVALUATE = lambda model: model.predict(X, verbose=0), lambda model: model.evaluate(*HELD, verbose=0)
EMA = compiled(optimizer=lambda: keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8))
STOPPING = CALLBACKS.EarlyStopping
PLATEAU = CALLBACKS.ReduceLROnPlateau

# name: (what makes the compiled model, what makes the callback, arguments of fit, attributes of the callback that must agree)
CASES = {
    "early stopping": (
        compiled(),
        lambda: STOPPING("val_loss", min_delta=9, patience=1),
        VALIDATED,
        ("stopped_epoch", "best", "wait"),
    ),
    "early stopping, best weights": (
        compiled(optimizer=lambda: keras.optimizers.SGD(3.0)),
        lambda: STOPPING("val_loss", patience=2, restore_best_weights=True),
        VALIDATED,
        ("stopped_epoch", "best_epoch", "best"),
    ),
    "early stopping by the training loss": (compiled(), lambda: STOPPING("loss", min_delta=9), {}, ("stopped_epoch", "best")),
    "rate by epochs": (compiled(), lambda: CALLBACKS.LearningRateScheduler(lambda e: 0.1 / (e + 1)), {}, ()),
    "rate by epochs and rate": (compiled(), lambda: CALLBACKS.LearningRateScheduler(lambda e, rate: rate / 2), {}, ()),
    "rate on a plateau": (compiled(), lambda: PLATEAU("val_loss", min_delta=9, patience=0), VALIDATED, ("best", "wait")),
    "rate set between batches": (compiled(), lambda: EachBatch(halve_rate), {}, ()),
    "rate set after epochs": (compiled(), lambda: EachEpoch(halve_rate), {}, ()),
    "averaged weights at the end of epochs": (EMA, lambda: CALLBACKS.SwapEMAWeights(swap_on_epoch=True), VALIDATED, ()),
    "averaged weights for validation": (EMA, lambda: CALLBACKS.SwapEMAWeights(), VALIDATED, ()),
    "weights read between batches": (compiled(), lambda: EachBatch(lambda model: model.get_weights()[0]), {}, ("found",)),
    "weights set between batches": (compiled(), lambda: EachBatch(halve), {}, ()),
    "weights set between batches of a piece": (compiled(steps_per_execution=2), lambda: EachBatch(halve), {}, ()),
    "weights set after epochs": (compiled(), lambda: EachEpoch(halve), {}, ()),
    "prediction between batches": (compiled(), lambda: EachBatch(PREDICT), {}, ("found",)),
    "prediction after epochs": (compiled(), lambda: EachEpoch(PREDICT), VALIDATED, ("found",)),
    "evaluation between batches": (compiled(), lambda: EachBatch(EVALUATE), VALIDATED, ("found",)),
    "evaluation after epochs": (compiled(), lambda: EachEpoch(EVALUATE), VALIDATED, ("found",)),
    "logs that grow": (
        compiled(),
        lambda: CALLBACKS.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(double=2 * logs["loss"])),
        VALIDATED,
        (),
    ),
    "NaN": (compiled(), CALLBACKS.TerminateOnNaN, {}, ()),
}


@pytest.mark.parametrize("case", CASES)
def test_callbacks_of_keras_and_of_users(case):
    make, callback, fitting, attributes = CASES[case]
    callbacks, results = [], []
    for fit in BOTH:
        callbacks.append(callback())
        results.append(trained(make, {**fitting, "callbacks": [callbacks[-1]]}, fit))
    assert_same_run(*reversed(results))
    for name in attributes:
        expected, found = (getattr(callback, name) for callback in callbacks)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6, err_msg=name)


class OwnTrainStep(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"own": loss}


def dataset():
    return {"x": tf.data.Dataset.from_tensor_slices((X, Y)).batch(16), "validation_data": HELD, "validation_batch_size": 8}


RUNS = {
    "arrays": (compiled(), VALIDATED),
    "dataset": (compiled(), dataset),
    # in executions that are full: of a shorter one at the end Keras tells an index past the last batch
    "two steps per execution": (compiled(steps_per_execution=2), {**VALIDATED, "validation_batch_size": 8}),
    "dataset, two steps per execution": (compiled(steps_per_execution=2), dataset),
    "initial epoch": (compiled(), {**VALIDATED, "initial_epoch": 2}),
    "no epoch": (compiled(), {"epochs": 0}),
    "validation now and then": (compiled(), {**VALIDATED, "validation_freq": 2}),
    "steps of an epoch": (compiled(), {**VALIDATED, "steps_per_epoch": 2, "validation_steps": 2}),
    "own train_step": (compiled(lambda: dense(kind=OwnTrainStep), metrics=None), VALIDATED),
    "eager": (compiled(run_eagerly=True), VALIDATED),
}


@pytest.mark.parametrize("run", RUNS)
def test_every_hook_comes_with_the_index_and_the_logs_of_model_fit(run):
    make, fitting = RUNS[run]
    records = [], []
    for fit, calls in zip(BOTH, records):
        given = fitting() if callable(fitting) else fitting
        trained(make, {**given, "callbacks": [record(calls)]}, fit)
    expected, found = records
    assert [call[:-1] for call in found] == [call[:-1] for call in expected]
    for ours, theirs in zip(found, expected):
        assert list(ours[-1]) == list(theirs[-1]), ours
        np.testing.assert_allclose(list(ours[-1].values()), list(theirs[-1].values()), rtol=1e-5, atol=1e-6)


def test_a_lambda_callback_hears_the_same():
    def heard(fit):
        calls = []
        say = lambda hook: lambda index, logs: calls.append((hook, index, sorted(logs or {})))
        hooks = {hook: say(hook) for hook in HOOKS if "train_batch" in hook or "epoch" in hook}
        trained(compiled(), {"callbacks": [CALLBACKS.LambdaCallback(**hooks)]}, fit)
        return calls

    assert heard(oracle.fit) == heard(keras.Model.fit) != []


def stop(model, *_):
    model.stop_training = True


@pytest.mark.parametrize("hook", [hook for hook in HOOKS if hook not in ("on_train_begin", "on_epoch_begin")])
def test_stop_training_is_obeyed_in_every_hook(hook):
    records, results = ([], []), []
    for fit, calls in zip(BOTH, records):
        results.append(trained(compiled(), {**VALIDATED, "callbacks": [record(calls), listener(stop, [hook])]}, fit))
    assert_same_run(*reversed(results))
    expected, found = ([call[:-1] for call in calls] for calls in records)
    assert found == expected


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin"])
def test_a_run_that_is_stopped_before_its_first_update_makes_none(hook):
    """Keras makes one."""
    calls = []
    model, history = trained(compiled(), {**VALIDATED, "callbacks": [record(calls), listener(stop, [hook])]}, oracle.fit)
    assert history.updates == int(model.optimizer.iterations) == 0
    assert (calls[0][0], calls[-1][0]) == ("on_train_begin", "on_train_end")
    assert trained(compiled(), {"callbacks": [listener(stop, [hook])]}, keras.Model.fit)[0].optimizer.iterations == 1


@pytest.mark.parametrize("hook", HOOKS)
def test_an_exception_from_a_callback_passes_and_the_next_fit_works(hook):
    def fail(model, *_):
        raise KeyError(hook)

    def run(fit):
        def fits(model, **arguments):
            with pytest.raises(KeyError, match=hook):
                fit(model, **arguments, callbacks=[listener(fail, [hook])])
            return fit(model, **arguments)

        return trained(compiled(), VALIDATED, fits)

    assert_same_run(run(oracle.fit), run(keras.Model.fit))


def test_stop_evaluating_is_obeyed():
    class Stop(CALLBACKS.Callback):
        def on_test_batch_end(self, batch, logs=None):
            self.model.stop_evaluating = True

    results = [trained(compiled(), {**VALIDATED, "callbacks": [Stop()]}, fit) for fit in BOTH]
    assert_same_run(*reversed(results))


@pytest.mark.parametrize("options", [{}, {"save_best_only": True, "monitor": "val_loss"}, {"save_freq": 3}, {"save_freq": 5}])
def test_model_checkpoint_writes_the_same_files(options, tmp_path):
    for fit, folder in zip(BOTH, ("theirs", "ours")):
        path = tmp_path / folder / ("{epoch}-{batch}.weights.h5" if "save_freq" in options else "{epoch}.weights.h5")
        checkpoint = CALLBACKS.ModelCheckpoint(str(path), save_weights_only=True, **options)
        trained(compiled(), {**VALIDATED, "callbacks": [checkpoint]}, fit)
    names = [sorted(path.name for path in (tmp_path / folder).iterdir()) for folder in ("theirs", "ours")]
    assert names[0] == names[1] != []
    for name in names[0]:
        weights = []
        for folder in "theirs", "ours":
            model = compiled()()
            model.load_weights(tmp_path / folder / name)
            weights.append(model.get_weights())
        for theirs, ours in zip(*weights, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("save_freq", ["epoch", 3])
def test_backup_and_restore_goes_on_as_under_model_fit(save_freq, tmp_path):
    def crash(epoch, logs):
        if epoch == 1:
            raise InterruptedError

    def run(fit, folder):
        def crashing(model, **arguments):
            backup = lambda: CALLBACKS.BackupAndRestore(str(tmp_path / folder), save_freq)
            with pytest.raises(InterruptedError):
                fit(model, **arguments, callbacks=[backup(), CALLBACKS.LambdaCallback(on_epoch_end=crash)])
            fresh = compiled()()
            return fit(fresh, **arguments, callbacks=[backup()])

        _, history = trained(compiled(), {"epochs": 4}, crashing)
        return history.model, history

    assert_same_run(run(oracle.fit, "ours"), run(keras.Model.fit, "theirs"))


def test_csv_logger_writes_the_same_table(tmp_path):
    tables = []
    for fit, name in zip(BOTH, ("theirs", "ours")):
        trained(compiled(), {**VALIDATED, "callbacks": [CALLBACKS.CSVLogger(tmp_path / name)]}, fit)
        head, *rows = (tmp_path / name).read_text().splitlines()
        tables.append((head, [[float(value) for value in row.split(",")] for row in rows]))
    assert tables[0][0] == tables[1][0]
    np.testing.assert_allclose(tables[1][1], tables[0][1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("update_freq", ["epoch", 2, "batch"])
def test_tensorboard_shows_the_same_curves(update_freq, tmp_path):
    def scalars(fit, folder):
        board = CALLBACKS.TensorBoard(str(tmp_path / folder), update_freq=update_freq, write_graph=False)
        trained(compiled(), {**VALIDATED, "callbacks": [board]}, fit)
        found = {}
        for part in "train", "validation":
            for path in (tmp_path / folder / part).glob("*.v2"):
                for record in tf.data.TFRecordDataset(str(path)):
                    event = tf.compat.v1.Event.FromString(record.numpy())
                    for value in event.summary.value:
                        if value.metadata.plugin_data.plugin_name == "scalars" or value.tag.startswith(
                            ("epoch", "batch", "eval")
                        ):
                            found[part, value.tag, event.step] = float(tf.make_ndarray(value.tensor))
        return found

    expected, found = scalars(keras.Model.fit, "theirs"), scalars(oracle.fit, "ours")
    assert sorted(found) == sorted(expected) != []
    for key, value in expected.items():
        if "steps_per_second" not in key[1]:
            np.testing.assert_allclose(found[key], value, rtol=1e-4, atol=1e-6, err_msg=str(key))


def test_terminate_on_nan_ends_the_run():
    """With the trainer's own guard off: nonfinite="stop" would raise first."""
    broken = compiled(loss=lambda y, y_pred: y_pred[:, 0] / (y_pred[:, 0] - y_pred[:, 0]), metrics=None)
    records = [], []
    for fit, calls, more in zip(BOTH, records, ({}, {"nonfinite": "ignore"})):
        trained(broken, {"callbacks": [CALLBACKS.TerminateOnNaN(), record(calls)]}, fit, **more)
    expected, found = ([call[:-1] for call in calls] for calls in records)
    assert found == expected


def test_a_list_put_together_before_is_taken_as_it_is():
    def run(fit):
        def fits(model, **arguments):
            listed = CALLBACKS.CallbackList([STOPPING("loss", min_delta=9)], add_history=True, model=model)
            return fit(model, **arguments, callbacks=listed)

        return trained(compiled(), {}, fits)

    assert_same_run(run(oracle.fit), run(keras.Model.fit))


def test_params_and_model_are_told_to_callbacks():
    def told(fit):
        seen = []
        watch = CALLBACKS.LambdaCallback(on_train_begin=lambda logs: seen.append(dict(watch.params)))
        model, _ = trained(compiled(), {"callbacks": [watch], "epochs": 2}, fit)
        assert watch.model is model
        return seen

    assert told(oracle.fit) == told(keras.Model.fit)


def test_steps_told_to_callbacks_are_updates():
    history = oracle.fit(compiled()(), X, Y, batch_size=8, accumulate=3, verbose=0)
    assert history.params["steps"] == history.updates == 3
