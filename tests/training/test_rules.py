"""The rules that can be read: XLA, threads."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tfnn.cli.threads import intra_op_threads
from tfnn.training.graph import xla
from tfnn.training.graph.xla import OFF, PAYS, Jit, choose_jit
from tfnn.training.loop.work import Work, planned
from tfnn.training.source.choice import source_of

LAYERS = keras.layers
LONG = Work(updates=10**6, validated=10**6, epochs=10**6)


def model_of(*layers, shape=(8, 8, 1)):
    return keras.Sequential([keras.Input(shape), *layers])


@pytest.mark.parametrize(
    "layers, expected, reason",
    [
        ((LAYERS.Flatten(), LAYERS.Dense(3)), True, "compiling pays"),
        ((LAYERS.Flatten(), LAYERS.Dropout(0.0), tfnn.layers.Dropout(0.5)), True, "compiling pays"),
        ((LAYERS.Conv2D(2, 3),), False, "slow at Conv2D"),
        ((tfnn.layers.ResidualBlock(2),), False, "slow at Conv2D"),
        ((LAYERS.MaxPooling2D(),), False, "slow at MaxPooling2D"),
        ((LAYERS.RandomRotation(0.1), LAYERS.Flatten()), False, "does not support XLA"),
        ((LAYERS.Dropout(0.5),), False, "other numbers for Keras's Dropout"),
        ((LAYERS.GaussianNoise(0.5),), False, "other numbers for Keras's GaussianNoise"),
        ((LAYERS.Reshape((8, 8)), LAYERS.LSTM(160)), True, "compiling pays"),
        ((LAYERS.Reshape((8, 8)), LAYERS.LSTM(161)), False, "slow at an LSTM of more than 160"),
        ((LAYERS.Reshape((8, 8)), LAYERS.GRU(4, dropout=0.1)), False, "other numbers for Keras's GRU"),
    ],
)
def test_xla_on_a_cpu(layers, expected, reason):
    jit, validation, why = choose_jit(model_of(*layers), "auto", LONG)
    assert jit == validation == Jit(expected, expected) and reason in why


def test_what_is_asked_for_wins():
    model = model_of(LAYERS.Conv2D(2, 3))
    once = Work(1, 1, 1)
    assert choose_jit(model, True, once) == (Jit(True), Jit(True), "as asked")
    assert choose_jit(model, False, LONG) == (OFF, OFF, "as asked")


def test_compile_s_explicit_wish_is_honoured():
    model = model_of(LAYERS.Conv2D(2, 3))
    model.compile("sgd", "mse", jit_compile=True)
    assert choose_jit(model, "auto", LONG) == (Jit(True, True), Jit(True, True), "as compiled")


@pytest.mark.parametrize("kind", PAYS)
def test_xla_pays_from_a_number_of_uses_on(kind):
    """Of each body by itself: the last batch of an epoch comes once in it, and validation has batches of its own."""
    layers = LAYERS.Reshape((8, 8)), LAYERS.LSTM(4) if kind == "heavy" else LAYERS.Flatten()
    model, enough = model_of(*layers), PAYS[kind]
    below, at = choose_jit(model, "auto", Work(enough - 1, enough, enough)), choose_jit(model, "auto", Work(enough, 0, 0))
    assert below == (OFF, OFF, f"{enough - 1} updates are sure, and compiling pays from {enough} on")
    assert at == (Jit(True), OFF, f"{enough} updates are sure, and compiling pays from {enough} on")
    assert choose_jit(model, "auto", Work(enough, enough - 1, enough - 1))[:2] == (Jit(True), OFF)
    assert choose_jit(model, "auto", Work(enough, enough, enough - 1))[:2] == (Jit(True), Jit(True))
    assert choose_jit(model, "auto", Work(enough, 0, enough))[:2] == (Jit(True, True), OFF)
    assert choose_jit(model, "auto", Work(enough, enough, enough))[:2] == (Jit(True, True), Jit(True, True))


class Stops(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch > 5


class Looks(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        print(epoch)


@pytest.mark.parametrize(
    "callbacks, expected",
    [
        ([], (100 * 4, 100 * 3, 100)),
        ([Looks(), keras.callbacks.ReduceLROnPlateau()], (100 * 4, 100 * 3, 100)),
        ([keras.callbacks.EarlyStopping(patience=6, start_from_epoch=3)], (10 * 4, 10 * 3, 10)),
        ([keras.callbacks.EarlyStopping(patience=6), Stops()], (4, 3, 1)),
        ([keras.callbacks.EarlyStopping(patience=np.float64(1.5))], (3 * 4, 3 * 3, 3)),
    ],
)
def test_a_plan_counts_what_is_sure(callbacks, expected):
    model = model_of(LAYERS.Flatten(), LAYERS.Dense(1))
    model.compile("sgd", "mse")
    train, held = (source_of(np.zeros((rows, 8, 8, 1)), np.zeros(rows), batch_size=8) for rows in (32, 20))
    plan = planned(model, callbacks, (train, held), range(100), None, np.int64(3))
    assert plan == expected and {type(number) for number in plan} == {int}  # as JSON holds them


def test_a_plan_counts_validation_where_it_takes_place():
    model = model_of(LAYERS.Flatten(), LAYERS.Dense(1))
    model.compile("sgd", "mse")
    train, held = (source_of(np.zeros((rows, 8, 8, 1)), np.zeros(rows), batch_size=8) for rows in (32, 20))
    assert planned(model, (), (train, held), range(2, 12), 7, None, 5) == (70, 2 * 3, 10)
    assert planned(model, (), (train, held), range(10), 7, 2, 5) == (70, 2 * 2, 10)


def dense():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), LAYERS.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


X, Y = np.random.RandomState(0).normal(size=(20, 4)).astype("float32"), np.arange(20) % 3


def test_fits_of_one_model_add_up_and_the_next_one_is_compiled(monkeypatch, capsys):
    monkeypatch.setitem(xla.PAYS, "light", 9)
    model = dense()
    fits = [tfnn.fit(model, X, Y, batch_size=8, epochs=2, verbose=2) for _ in range(3)]  # of 3 batches each
    assert [fit.jit_compile for fit in fits] == [False, True, True]
    assert [fit.traces for fit in fits] == [1, 1, 0]
    said = [line for line in capsys.readouterr().out.splitlines() if "XLA" in line]
    assert "XLA off (6 updates are sure, and compiling pays from 9 on)" in said[0]
    assert "XLA on (12 updates are sure" in said[1]
    assert "jit_compile changed from off to on" in said[1]
    other = tfnn.fit(model, X[:16], Y[:16], batch_size=8, epochs=2, verbose=0)
    assert not other.jit_compile  # XLA would compile anew for arrays of another length


def test_a_run_that_goes_on_makes_the_choice_of_the_interrupted_one(monkeypatch, tmp_path):
    run = lambda model, epochs, **more: tfnn.fit(
        model, X, Y, 8, epochs, 0, [tfnn.callbacks.Checkpoint(tmp_path, monitor="loss")], seed=1, **more
    )
    monkeypatch.setitem(xla.PAYS, "light", 9)
    assert not run(dense(), 2).jit_compile
    model = dense()
    assert not run(model, 5, resume=tmp_path).jit_compile  # 9 updates are left, and 15 in all
    assert [done.updates for done in model._tfnn_done.values()] == [9]
    assert tfnn.fit(dense(), X, Y, 8, 5, 0, seed=1).jit_compile


def test_one_trace_serves_arrays_of_every_length():
    model = dense()
    fits = [
        tfnn.fit(model, X[:rows], Y[:rows], 8, 1, 0, validation_data=(X[: rows - 9], Y[: rows - 9]))
        for rows in (20, 17, 16, 11)
    ]
    assert [fit.traces for fit in fits] == [1, 0, 0, 0]
    evaluation = model._tfnn_evaluation
    assert evaluation.arrays_function.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("tail", [False, True])
def test_static_bodies_do_what_the_dynamic_one_does(monkeypatch, accumulate, tail):
    """20 rows in batches of 8: two full ones and a tail, which XLA compiles or leaves; so in validation."""
    monkeypatch.setitem(xla.PAYS, "light", 3 if tail else 10**6)
    plain, compiled = dense(), dense()
    options = dict(batch_size=8, epochs=3, verbose=0, accumulate=accumulate, seed=1, validation_data=(X[:11], Y[:11]))
    expected = tfnn.fit(plain, X, Y, jit_compile=False, **options)
    found = tfnn.fit(compiled, X, Y, jit_compile=True, **options)
    assert found.updates == expected.updates and compiled._tfnn_graph.static_tail is tail
    for name, values in expected.history.items():
        np.testing.assert_allclose(found.history[name], values, rtol=1e-5)
    for a, b in zip(compiled.get_weights(), plain.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "batch, shape, threads",
    [(32, (8, 8, 1), 1), (64, (16, 16, 3), 1), (65, (16, 16, 3), 0), (32, (32, 32, 3), 0), (1, (224, 224, 3), 0)],
)
def test_threads(batch, shape, threads):
    assert intra_op_threads(batch, shape) == threads


UNCOMPILED = {  # layers of Keras's own that XLA does not compile, and where that shows
    "has no kernel for ResizeBicubic": (LAYERS.Resizing(4, 4, interpolation="bicubic"), LAYERS.Flatten()),
    "cannot compile it: ": (LAYERS.Flatten(), LAYERS.Discretization(bin_boundaries=[-1.0, 1.0], output_mode="multi_hot")),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("reason", UNCOMPILED)
def test_what_xla_does_not_compile_runs_without_it(reason, stream, monkeypatch, capsys):
    """To the weights of a run without XLA, no example lost, and the reason is told."""
    monkeypatch.setattr(xla, "PAYS", {"heavy": 1, "light": 1})
    x, y = np.random.RandomState(0).normal(size=(40, 6, 6, 1)).astype("float32"), np.arange(40) % 3
    results = []
    for jit_compile in "auto", False:
        keras.utils.set_random_seed(1)
        data = (tf.data.Dataset.from_tensor_slices((x, y)).shuffle(40, seed=1).batch(16),) if stream else (x, y)
        model = keras.Sequential([keras.Input((6, 6, 1)), *UNCOMPILED[reason], LAYERS.Dense(3, "softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        tfnn.fit(model, *data, batch_size=None if stream else 16, epochs=2, verbose=2, jit_compile=jit_compile)
        results.append(model.get_weights())
    told = capsys.readouterr().out
    if not (stream and reason.startswith("cannot")):  # XLA compiles a step of it, whose shape is known, and no loop over arrays
        assert f"XLA off (XLA {reason}" in told
    for ours, wanted in zip(*results, strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-5, atol=1e-6)
