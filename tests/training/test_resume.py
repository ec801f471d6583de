"""A run that is stopped at any moment, by anything, ends with the bits of one that never was."""

import concurrent.futures
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.training import killed
from tfnn.callbacks import Checkpoint
from tfnn.training import checkpoint

ROOT = pathlib.Path(__file__).parents[2]
ROOT = pathlib.Path(__file__).parents[2]
ROWS, BATCH, EPOCHS = 80, 32, 2  # 3 updates an epoch, the last a smaller one


# Within a process ----------------------------------------------------------------------------------------------------


class Stopped(Exception):
    pass


class StopAt(keras.callbacks.Callback):
    """Raises at the hook number `at` of a run, whichever that is; `heard` are the names of those before."""

    def __init__(self, at=None):
        super().__init__()
        self.at, self.heard = at, []

    def hear(self, hook):
        self.heard.append(hook)
        if len(self.heard) == self.at:
            raise Stopped(hook)

    def on_epoch_begin(self, epoch, logs=None):
        self.hear("epoch begins")

    def on_train_batch_end(self, batch, logs=None):
        self.hear("update")

    def on_test_batch_end(self, batch, logs=None):
        self.hear("validation")

    def on_epoch_end(self, epoch, logs=None):
        self.hear("epoch ends")


def data(rows=ROWS):
    random = np.random.RandomState(0)
    return random.normal(size=(rows, 6)).astype("float32"), random.randint(0, 3, rows)


def network(optimizer=None):
    """With two states of random numbers, Keras's and tfnn's, which advance with each update."""
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Dropout(0.2), keras.layers.Dense(5, "relu"), tfnn.layers.Dropout(0.2)]
    model = keras.Sequential([keras.Input((6,)), *layers, keras.layers.Dense(3, "softmax")])
    optimizer = optimizer or tfnn.optimizers.Adam(0.01)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    return model


def fit(directory=None, *callbacks, model=None, optimizer=None, save_freq=1, monitor="val_loss", **arguments):
    """All that a run ends with, by name: resumed from `directory` and saved there, or a run without checkpoints."""
    model = model or network(optimizer)
    x, y = data()
    defaults = dict(x=x, y=y, batch_size=BATCH, epochs=EPOCHS, validation_data=data(40), validation_batch_size=16)
    arguments = defaults | {"verbose": 0, "seed": 7, "jit_compile": False, "resume": directory} | arguments
    if directory:
        callbacks = *callbacks, Checkpoint(directory, save_freq, monitor=monitor)
    history = tfnn.fit(model, callbacks=list(callbacks), **arguments)
    arrays = {f"weight {index}": weight for index, weight in enumerate(model.get_weights())}
    arrays |= {f"optimizer {index}": v.numpy() for index, v in enumerate(model.optimizer.variables)}
    arrays |= {f"history {name}": np.array(values) for name, values in history.history.items()}
    told = {"epochs": history.epoch, "updates": history.updates, "skipped": history.skipped}
    told["sizes"] = [size or 0 for size in history.batch_sizes]
    return arrays | {name: np.array(value) for name, value in told.items()}


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if not np.array_equal(found[name], wanted[name], equal_nan=True)] == []


def hidden(directory):
    return [name for name in os.listdir(directory) if name.startswith(".") and name != ".lock"]


def test_a_run_stopped_at_any_hook_goes_on_to_the_same_bits(tmp_path):
    """After every update, in validation, and where epochs begin and end: 16 stops, each resumed in a model built anew."""
    whole, listener = fit(), StopAt()
    fit(None, listener)
    hooks = listener.heard
    assert hooks == ["epoch begins", *["update"] * 3, *["validation"] * 3, "epoch ends"] * 2
    for at, hook in enumerate(hooks, 1):
        with pytest.raises(Stopped, match=hook):
            fit(tmp_path / str(at), StopAt(at))
        assert_same(fit(tmp_path / str(at)), whole)


# name: a function that makes (callbacks, arguments of `fit`) anew
FEATURES = {
    "Keras's Adam with EMA": lambda path: ([], {"optimizer": keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)}),
    "SGD with EMA that overwrites every 2nd update": lambda path: (
        [],
        {"optimizer": tfnn.optimizers.SGD(0.1, momentum=0.9, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=2)},
    ),
    "a rate that is multiplied each epoch": lambda path: (
        [keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)],
        {},
    ),
    "a rate that falls on a plateau": lambda path: (
        [keras.callbacks.ReduceLROnPlateau("loss", 0.5, patience=1, min_delta=1)],
        {},
    ),
    "early stopping with the best weights": lambda path: (
        [keras.callbacks.EarlyStopping("loss", patience=1, min_delta=1, restore_best_weights=True)],
        {"epochs": 5},
    ),
    "a batch that grows": lambda path: ([tfnn.callbacks.BatchSizeScheduler({1: 64})], {"epochs": 3}),
    "a schedule in epochs": lambda path: (
        [],
        {"optimizer": tfnn.optimizers.SGD(tfnn.schedules.InEpochs(tfnn.schedules.Cosine(0.1, 3), 3))},
    ),
    "gradients that are summed": lambda path: ([], {"accumulate": 2, "batch_size": 16}),
    "epochs shorter than a pass": lambda path: ([], {"steps_per_epoch": 2, "epochs": 4}),
    "epochs longer than a pass": lambda path: ([], {"steps_per_epoch": 5}),
    "no shuffling": lambda path: ([], {"shuffle": False}),
    "validation every 2nd epoch": lambda path: ([], {"validation_freq": 2, "epochs": 3, "monitor": "loss"}),
    "class weights": lambda path: ([], {"class_weight": {0: 3.0}}),
    "no validation": lambda path: ([], {"validation_data": None, "monitor": "loss"}),
    "XLA": lambda path: ([], {"jit_compile": True}),
    "eager": lambda path: ([], {"model": eager()}),
    "updates that are left out": lambda path: ([], {"x": spoilt(), "nonfinite": "skip", "epochs": 3}),
    "a callback with a state of its own": lambda path: ([Halving()], {"epochs": 4}),
    "tf.data": lambda path: ([], {"x": stream(), "y": None, "batch_size": None, "epochs": 3}),
    "tf.data with sums of batches": lambda path: (
        [],
        {"x": stream(), "y": None, "batch_size": None, "accumulate": 2, "epochs": 3},
    ),
}


def eager():
    model = network()
    model.compile(model.optimizer, model.loss, metrics=["accuracy"], run_eagerly=True)
    return model


def spoilt():
    x = data()[0].copy()
    x[17, 2] = np.inf
    return x


def stream():
    keras.utils.set_random_seed(3)  # the order depends on it, too
    return tf.data.Dataset.from_tensor_slices(data()).shuffle(ROWS, seed=5).batch(16)


class Halving(keras.callbacks.Callback):
    """Halves the rate at every third update it has seen, which it counts over the whole run."""

    def on_train_begin(self, logs=None):
        self.seen = 0

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        if self.seen % 3 == 0:
            self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) / 2

    def get_state(self):
        return {"seen": self.seen}

    def set_state(self, state):
        self.seen = state["seen"]


@pytest.mark.parametrize("feature", FEATURES.values(), ids=FEATURES)
def test_whatever_has_a_state_goes_on(feature, tmp_path):
    """Stopped twice: in the first epoch, and a few hooks after the resume, in a later one."""

    def run(directory=None, stop=None):
        callbacks, arguments = feature(tmp_path)
        return fit(directory, *callbacks, *[StopAt(stop)] * bool(stop), **arguments)

    whole, directory = run(), tmp_path / "checkpoints"
    for stop in 3, 6:
        with pytest.raises(Stopped):
            run(directory, stop)
    assert_same(run(directory), whole)


def test_more_epochs_go_on_and_a_finished_run_trains_nothing(tmp_path):
    optimizer = lambda: tfnn.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)
    three = fit(optimizer=optimizer(), epochs=3)
    two = fit(tmp_path, optimizer=optimizer(), epochs=2)
    assert_same(fit(tmp_path, optimizer=optimizer(), epochs=3), three)
    listener, saved = StopAt(), checkpoint.names(tmp_path)
    assert_same(fit(tmp_path, listener, optimizer=optimizer(), epochs=3), three)
    assert listener.heard == [] and checkpoint.names(tmp_path) == saved
    assert len(two["epochs"]) == 2
    with pytest.raises(ValueError, match="3 epochs are done, and epochs=2 asks for fewer"):
        fit(tmp_path, optimizer=optimizer(), epochs=2)


def test_a_run_that_stopped_early_stays_stopped(tmp_path):
    early = lambda: keras.callbacks.EarlyStopping("loss", patience=1, min_delta=9, restore_best_weights=True)
    whole = fit(tmp_path, early(), epochs=6)
    assert len(whole["epochs"]) == 2
    assert_same(fit(tmp_path, early(), epochs=6), whole)


def test_saved_each_epoch_it_goes_on_from_the_last_end_of_one(tmp_path):
    whole = fit(epochs=3)
    with pytest.raises(Stopped):
        fit(tmp_path, StopAt(13), epochs=3, save_freq="epoch")
    assert checkpoint.names(tmp_path) == [checkpoint.name_of(3)]
    assert_same(fit(tmp_path, epochs=3, save_freq="epoch"), whole)


@pytest.mark.parametrize("append", [False, True])
def test_the_table_of_a_csv_logger_is_that_of_the_whole_run(append, tmp_path):
    log = lambda name: keras.callbacks.CSVLogger(tmp_path / name, append=append)
    fit(None, log("whole.csv"), epochs=3)
    for stop in 16, 3:  # at the end of the second epoch, when its row stands there, but no checkpoint; in its midst
        with pytest.raises(Stopped):
            fit(tmp_path / "checkpoints", log("stopped.csv"), StopAt(stop), epochs=3, save_freq="epoch")
    fit(tmp_path / "checkpoints", log("stopped.csv"), epochs=3, save_freq="epoch")
    assert (tmp_path / "stopped.csv").read_text() == (tmp_path / "whole.csv").read_text()


def test_a_seed_that_was_drawn_is_kept(tmp_path):
    whole = fit(tmp_path, seed=None)
    shutil.rmtree(tmp_path / checkpoint.names(tmp_path)[-1])
    random.seed(99)
    assert_same(fit(tmp_path, seed=None), whole)


# Real processes ------------------------------------------------------------------------------------------------------


def process(*arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, *map(str, arguments)], env=environment, cwd=ROOT, **pipes, **options)


def struck(moment, kind, directory, out, random):
    """Starts a run of `killed.py`, or goes on with one, and ends it at a moment of that sort. Gives its exit status."""
    before = entries(directory)
    running = process("-m", "tests.training.killed", kind, directory, out)
    assert running.stdout.readline() == "begins\n", running.communicate()[1]
    written = random.randint(1, 4)
    if moment == "starting":
        time.sleep(random.uniform(0, 2))
    else:
        while running.poll() is None and len(entries(directory) - before) < written:
            time.sleep(0.002)
    if moment == "writing":
        while running.poll() is None and not half_written(directory):
            pass
    elif moment != "starting":
        time.sleep(random.uniform(0, 0.1))
    running.send_signal(signal.SIGTERM if moment == "terminated" else signal.SIGKILL)
    running.communicate(timeout=60)
    return running.returncode


def entries(directory):
    return set(checkpoint.names(directory))


def half_written(directory):
    return [name for name in hidden(directory) if name.startswith(checkpoint.WRITING)]


def assert_survives(kind, moments, path, whole):
    """`whole`: what the run ends with that was never ended; gives how many of the ends struck, and left half-written."""
    random_, statuses, halves = random.Random(kind), [], 0
    for moment in moments:
        statuses.append(struck(moment, kind, path / "run", path / "out.npz", random_))
        halves += bool(half_written(path / "run")) if (path / "run").exists() else 0
    last = process("-m", "tests.training.killed", kind, path / "run", path / "out.npz")
    _, errors = last.communicate()
    assert last.returncode == 0, errors
    assert hidden(path / "run") == []
    with np.load(path / "out.npz") as found:
        assert_same(dict(found), whole)
    ended = {"terminated": -signal.SIGTERM}
    assert statuses == [ended.get(moment, -signal.SIGKILL) for moment in moments]
    return halves


def never_ended(kind, path):
    killed.run(kind, path / "whole", path / "whole.npz")
    with np.load(path / "whole.npz") as whole:
        return dict(whole)


def in_turn_and_two_at_a_time(kinds, moments, path):
    for kind in kinds:
        (path / kind).mkdir()
    wholes = {kind: never_ended(kind, path / kind) for kind in kinds}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return sum(pool.map(lambda kind: assert_survives(kind, moments, path / kind, wholes[kind]), kinds))


def test_a_killed_process_goes_on_to_the_same_bits(tmp_path):
    in_turn_and_two_at_a_time(["grown", "tf.data"], ["writing"], tmp_path)


@pytest.mark.slow
def test_a_process_killed_again_and_again_goes_on_to_the_same_bits(tmp_path):
    """36 ends of runs of six kinds: while they start, train, write a checkpoint; 6 of them by SIGTERM."""
    moments = ["training", "starting", "writing", "terminated", "writing", "training"]
    assert in_turn_and_two_at_a_time(killed.KINDS, moments, tmp_path) >= 3
