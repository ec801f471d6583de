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
from tests.needs import MULTI_OPTIMIZER
from tests.training import killed
from tests.training.models import OwnTrainStep, Unbuilt
from tfnn.callbacks import Checkpoint
from tfnn.training.loop.sigterm import heeding_sigterm
from tfnn.training.resume import checkpoint

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


class Scattered(keras.Model):
    """Its training step keeps state where no list of Keras's finds it."""

    def __init__(self):
        super().__init__()
        keras.utils.set_random_seed(3)
        self.body, self.head = keras.layers.Dense(4, "relu"), keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        self.rules = {"body": [tfnn.optimizers.Adam(0.01)], "head": keras.optimizers.Adam(0.01)}
        self.noise, self.kept = [tf.random.Generator.from_seed(5)], {"mean": [tf.Variable(0.0, trainable=False)]}
        self(np.zeros((1, 6), "float32"))

    def call(self, x):
        return self.head(self.body(x))

    def train_step(self, batch):
        x, y = batch
        with tf.GradientTape() as tape:
            outputs = self(x + 0.1 * self.noise[0].normal(tf.shape(x)))
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, outputs, from_logits=True))
            scaled = loss * (1 + self.kept["mean"][0])
        self.kept["mean"][0].assign(0.9 * self.kept["mean"][0] + 0.1 * loss)
        weights = [self.body.trainable_variables, self.head.trainable_variables]
        for optimizer, gradients, part in zip(
            [self.rules["body"][0], self.rules["head"]], tape.gradient(scaled, weights), weights
        ):
            optimizer.apply(gradients, part)
        return {"loss": loss}


def remembering():
    """A stateful RNN, and a loss with a state of its own, under `compile`'s step."""
    keras.utils.set_random_seed(3)
    layers, seen = keras.layers, {"calls": [tf.Variable(1.0, trainable=False)]}
    hidden = [layers.Reshape((3, 2)), layers.GRU(4, stateful=True)]
    model = keras.Sequential([keras.Input(batch_shape=(16, 6)), *hidden, layers.Dense(3, "softmax")])

    def loss(y, outputs):
        seen["calls"][0].assign_add(1.0)
        return keras.losses.sparse_categorical_crossentropy(y, outputs) * seen["calls"][0]

    model.compile("sgd", loss)
    return model


def scattered():
    model = Scattered()
    model.compile()
    return model


@pytest.mark.parametrize("build", [scattered, remembering])
def test_state_goes_on_wherever_it_is_kept(build, tmp_path):
    how = dict(batch_size=16, validation_data=None, monitor="loss")  # 5 updates an epoch
    whole = fit(model=build(), **how)
    with pytest.raises(Stopped):
        fit(tmp_path, StopAt(4), model=build(), **how)
    assert_same(fit(tmp_path, model=build(), **how), whole)


class Noisy(keras.layers.Layer):
    def call(self, x):
        return x + tf.random.normal(tf.shape(x))


class Counting(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.table = tf.lookup.experimental.MutableHashTable(tf.int64, tf.int64, 0)

    def call(self, x):
        self.table.insert(tf.zeros([1], tf.int64), tf.ones([1], tf.int64))
        return x


@pytest.mark.parametrize("layer, what", [(Noisy, "the state of .*normal"), (Counting, "what .*insert.* changes")])
def test_state_that_no_checkpoint_can_hold_is_refused_by_name(layer, what, tmp_path):
    model = keras.Sequential([keras.Input((6,)), layer(), keras.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=f"a checkpoint cannot hold {what}"):
        fit(tmp_path / "a", model=model)
    fit(model=model)


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
    "a schedule that is scaled on a plateau": lambda path: (
        [tfnn.callbacks.ReduceLROnPlateau("loss", 0.5, patience=2, min_delta=1)],
        {"optimizer": tfnn.optimizers.SGD(tfnn.schedules.Cosine(0.1, 20)), "epochs": 4},
    ),
    "Keras's schedule that is set each epoch": lambda path: (
        [tfnn.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)],
        {"optimizer": keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, 20)), "epochs": 3},
    ),
    "a schedule by updates from a callback": lambda path: (
        [tfnn.callbacks.LearningRateScheduler(tfnn.schedules.OneCycle(0.1, 6), by="update")],
        {},
    ),
    "a function of the update": lambda path: (
        [tfnn.callbacks.LearningRateScheduler(lambda update, rate: rate * 0.9, by="update")],
        {},
    ),
    "rates that begin at updates": lambda path: (
        [tfnn.callbacks.LearningRateScheduler({2: 0.05, 4: 0.01}, by="update")],
        {"optimizer": tfnn.optimizers.SGD(tfnn.schedules.Cosine(0.1, 20))},
    ),
    "a batch that grows on a plateau": lambda path: (
        [tfnn.callbacks.GrowBatchOnPlateau("loss", patience=1, min_delta=9)],
        {"batch_size": 16, "epochs": 3},
    ),
    "growth in the place of a decay, until the batch is at its bound": lambda path: (
        [tfnn.callbacks.SwapDecayForGrowth(tfnn.schedules.StepDecay(0.1, [1, 2], 0.5), max_batch_size=32)],
        {"batch_size": 16, "epochs": 4},
    ),
    "one cycle that is scaled on a plateau, with a batch that grows and a rate that follows it": lambda path: (
        [
            tfnn.callbacks.LearningRateScheduler(tfnn.schedules.Warmup(tfnn.schedules.OneCycle(0.1, 9), 2), by="update"),
            tfnn.callbacks.ReduceLROnPlateau("loss", 0.5, patience=1, min_delta=9),
            tfnn.callbacks.BatchSizeScheduler({2: 32}, by="update", scale_learning_rate=True),
        ],
        {"batch_size": 16, "epochs": 3},
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
    "a stage that is unfrozen": lambda path: (
        [tfnn.transfer.Unfreeze({0: 0, 1: 1})],
        {"model": staged(), "epochs": 3},
    ),
    "features that are cached until then": lambda path: (
        [tfnn.transfer.Unfreeze({0: 0, 1: 1, 2: 0})],
        {"model": staged(), "epochs": 4, "cache": tfnn.transfer.FeatureCache()},
    ),
    "features of a stage that was trained before": lambda path: (
        [tfnn.transfer.Unfreeze({0: 1, 1: 0})],
        {"model": staged(), "epochs": 3, "cache": tfnn.transfer.FeatureCache()},
    ),
    "tf.data with sums of batches": lambda path: (
        [],
        {"x": stream(), "y": None, "batch_size": None, "accumulate": 2, "epochs": 3},
    ),
}


def eager():
    model = network()
    model.compile(model.optimizer, model.loss, metrics=["accuracy"], run_eagerly=True)
    return model


def staged():
    """A classifier on a backbone of one stage, which dropout and BatchNorm give a state."""
    keras.utils.set_random_seed(3)
    body = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(5), keras.layers.BatchNormalization(), keras.layers.Dropout(0.2)]
    )
    model = tfnn.transfer.classifier(keras.Model(body.inputs[0], body.outputs[0]), 3)
    model.compile(tfnn.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
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


class UnbuiltOwnStep(Unbuilt):
    def train_step(self, batch):
        return {**super().train_step(batch), "one": tf.constant(1.0)}


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_whose_own_step_makes_its_weights_goes_on(stream, tmp_path):
    def unbuilt():
        keras.utils.set_random_seed(3)
        model = UnbuiltOwnStep()
        model.compile(tfnn.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
        return model

    source = {"x": tf.data.Dataset.from_tensor_slices(data()).batch(BATCH), "y": None, "batch_size": None} if stream else {}
    whole = fit(model=unbuilt(), **source)
    with pytest.raises(Stopped):
        fit(tmp_path, StopAt(2), model=unbuilt(), **source)
    assert_same(fit(tmp_path, model=unbuilt(), **source), whole)


@MULTI_OPTIMIZER
def test_a_resumed_run_leaves_its_trace_to_the_next(tmp_path):
    """An optimizer of several, which its first update makes known to the model, does not make the trace stale."""

    def model():
        keras.utils.set_random_seed(3)
        inputs = keras.Input((6,))
        model = OwnTrainStep(inputs, keras.layers.Dense(3, "softmax")(inputs))
        parts = tfnn.optimizers.SGD(0.1), keras.optimizers.Adam(0.01)
        model.compile(keras.optimizers.MultiOptimizer(lambda w: parts["bias" in w.path]), "sparse_categorical_crossentropy")
        return model

    x, y = data()
    arguments = {"x": x, "y": y, "batch_size": BATCH, "seed": 7, "verbose": 0, "jit_compile": False}
    saves = [Checkpoint(tmp_path, monitor="loss")]
    tfnn.fit(model(), epochs=1, callbacks=saves, **arguments)
    again = model()
    assert tfnn.fit(again, epochs=2, callbacks=saves, resume=tmp_path, **arguments).traces == 1
    assert tfnn.fit(again, epochs=2, **arguments).traces == 0


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
        time.sleep(random.uniform(0, 0.05))
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
    """42 ends of runs of seven kinds: while they start, train, write a checkpoint; 7 of them by SIGTERM."""
    moments = ["training", "starting", "writing", "terminated", "writing", "training"]
    assert in_turn_and_two_at_a_time(killed.KINDS, moments, tmp_path) >= 3


@pytest.mark.parametrize("handler", [signal.SIG_IGN, None], ids=["ignored", "of C"])
def test_a_sigterm_that_is_not_python_s_is_left_alone(handler, monkeypatch):
    """A handler that C code installed is None to Python, which could not put it back."""
    put = []
    monkeypatch.setattr(signal, "getsignal", lambda number: handler)
    monkeypatch.setattr(signal, "signal", lambda number, new: put.append(new) or handler)
    with heeding_sigterm(True) as heed:
        heed()
    assert not put


# An epoch, or the validation after one, that has no end but by the signal.
ENDLESS = """
import signal, sys, time
import keras, numpy as np, tensorflow as tf
import tfnn
directory, phase, handled = sys.argv[1:]
if handled:
    signal.signal(signal.SIGTERM, lambda *_: print("handled", flush=True))
x, y = np.zeros((64, 4), "float32"), np.zeros(64, "int32")
endless = tf.data.Dataset.from_tensor_slices((x, y)).repeat().batch(8)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
model.compile("sgd", "sparse_categorical_crossentropy")
say = keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: print("training", flush=True))
say.on_test_begin = lambda logs=None: print("validation", flush=True)
steps = {"training": 2**30, "validation": 20}[phase]
tfnn.fit(model, endless, steps_per_epoch=steps, validation_data=endless, validation_steps=2**30, verbose=0,
    callbacks=[tfnn.callbacks.Checkpoint(directory), say], seed=1)
"""


@pytest.mark.parametrize("phase, handled", [("training", ""), ("validation", "yes")])
def test_sigterm_saves_the_run_and_takes_its_course(phase, handled, tmp_path):
    running = process("-c", ENDLESS, tmp_path / "run", phase, handled)
    while running.stdout.readline().strip() != phase:
        assert running.poll() is None, running.communicate()[1]
    time.sleep(2)
    running.send_signal(signal.SIGTERM)
    output, errors = running.communicate(timeout=60)  # half a second and the write are meant; the machine is shared
    assert running.returncode == (128 + signal.SIGTERM if handled else -signal.SIGTERM)
    assert ("handled" in output) == bool(handled) and "Traceback" not in errors
    _, _, meta = checkpoint.newest(tmp_path / "run")
    assert meta["trainer"]["updates"] == meta["trainer"]["step"] > 0 and meta["trainer"]["mid_epoch"]
    assert (meta["trainer"]["step"] == 20) == (phase == "validation")


# What is refused -----------------------------------------------------------------------------------------------------


def wider():
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(7, "relu"), keras.layers.Dense(3, "softmax")])
    model.compile(tfnn.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    return model


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda: {"model": wider()}, "weight .*kernel has shape .6, 7., the checkpoint's .6, 5.;"),
        (lambda: {"optimizer": tfnn.optimizers.SGD(0.1)}, "optimizer is tfnn.SGD, the checkpoint's tfnn.Adam"),
        (lambda: {"optimizer": tfnn.optimizers.Adam(0.01, amsgrad=True)}, "amsgrad is True, the checkpoint's False"),
        (lambda: {"x": data()[0][::-1]}, "the data differ"),
        (lambda: {"x": data(79)[0], "y": data(79)[1]}, "the data differ"),
        (lambda: {"batch_size": 16}, "batch_size is 16, the checkpoint's 32"),
        (lambda: {"seed": 8}, "seed is 8, the checkpoint's 7"),
        (lambda: {"shuffle": False}, "shuffle is False, the checkpoint's True"),
        (lambda: {"accumulate": 2}, "accumulate is 2, the checkpoint's 1"),
        (lambda: {"steps_per_epoch": 2}, "steps_per_epoch is 2, the checkpoint's None"),
        (lambda: {"epochs": 0}, "1 epochs are done, and epochs=0 asks for fewer"),
        (lambda: {"resume": None}, "holds checkpoints of a run, up to update-00000003: go on from them with resume="),
    ],
)
def test_another_run_is_refused_in_one_line_and_the_checkpoints_stay(change, message, first_epoch, tmp_path):
    directory = shutil.copytree(first_epoch, tmp_path / "run")
    with pytest.raises(ValueError, match=message) as error:
        fit(directory, **change())
    assert "\n" not in str(error.value)
    assert checkpoint.newest(directory)[0].name == checkpoint.name_of(3)


@pytest.fixture(scope="module")
def first_epoch(tmp_path_factory):
    """The checkpoints of a run of one epoch."""
    directory = tmp_path_factory.mktemp("first") / "run"
    fit(directory, epochs=1)
    return directory


def test_a_directory_that_cannot_serve_is_refused_before_the_first_update(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "notes.txt").write_text("")
    listener = StopAt()
    for directory, error, message in (
        (tmp_path / "file", NotADirectoryError, "no directory of checkpoints"),
        (tmp_path / "foreign", ValueError, "holds other things than checkpoints: notes.txt"),
        ("/proc/run", OSError, "cannot make the directory"),
    ):
        with pytest.raises(error, match=message):
            fit(directory, listener)
    assert listener.heard == []
    assert os.listdir(tmp_path / "foreign") == ["notes.txt"]


def damage(path):
    content = bytearray((path / "arrays.bin").read_bytes())
    content[10] ^= 1
    (path / "arrays.bin").write_bytes(content)


def test_a_damaged_checkpoint_is_passed_over_and_the_bits_are_the_same(first_epoch, tmp_path):
    directory = shutil.copytree(first_epoch, tmp_path / "run")
    damage(directory / checkpoint.name_of(3))
    with pytest.warns(UserWarning, match="update-00000003 is passed over: .*arrays.bin has another checksum"):
        found = fit(directory)
    assert_same(found, fit())


def test_all_damaged_is_an_error_and_not_a_new_run(first_epoch, tmp_path):
    directory = shutil.copytree(first_epoch, tmp_path / "run")
    for name in checkpoint.names(directory):
        damage(directory / name)
    with pytest.warns(UserWarning, match="passed over"), pytest.raises(ValueError, match="all its 3 checkpoints are damaged"):
        fit(directory)


FULL = """
import resource, sys
from tests.training.test_resume import StopAt, fit
class Fills(StopAt):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch:
            resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))
fit(sys.argv[1], Fills())
"""


def test_a_full_disk_is_one_clear_error_and_a_later_resume_goes_on(tmp_path):
    _, errors = process("-c", FULL, tmp_path).communicate()
    last = errors.strip().splitlines()[-1]
    assert "cannot write arrays.bin of checkpoint update-00000004" in last
    assert last.endswith("(File too large); the last good checkpoint is update-00000003")
    assert hidden(tmp_path) == []
    assert_same(fit(tmp_path), fit())
