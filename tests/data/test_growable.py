"""Batches that grow under plain `model.fit`: the weights, History and bar are those of `tfnn.fit`."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tfnn.callbacks import BatchSizeScheduler

RNG = np.random.RandomState(0)
X = RNG.normal(size=(60, 6)).astype(np.float32)
Y = (X @ RNG.normal(size=(6, 3))).argmax(-1)
W = RNG.uniform(0.5, 2, 60).astype(np.float32)
LAYERS = keras.layers


def compiled(*layers, steps_per_execution=1):
    keras.utils.set_random_seed(5)
    model = keras.Sequential([keras.Input((6,)), LAYERS.Dense(8, "relu"), *(make() for make in layers), LAYERS.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = tfnn.optimizers.SGD(0.05, momentum=0.9)
    model.compile(optimizer, loss, metrics=["accuracy"], steps_per_execution=steps_per_execution)
    return model


NORMALISED = LAYERS.BatchNormalization, lambda: LAYERS.Dropout(0.3)


def assert_same(ours, theirs, atol=1e-5):
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=atol)


# name: (schedule, by, updates of 3 epochs over 60 rows from batches of 16, batch size at the end of each)
PLANS = {
    "grows and shrinks by epoch": ({1: 20, 2: 7}, "epoch", 4 + 3 + 9, [16, 20, 7]),
    "grows and shrinks inside epochs": ({2: 20, 5: 30, 6: 9}, "update", 15, [20, 9, 9]),
    "a function of the update": (lambda update: 8 + update, "update", 14, [13, 17, 21]),
}


@pytest.mark.parametrize("steps_per_execution", [1, 3])
@pytest.mark.parametrize("schedule, by, updates, sizes", PLANS.values(), ids=PLANS)
def test_both_fits_give_the_same_weights_with_batch_norm_and_dropout(schedule, by, updates, sizes, steps_per_execution):
    """Dropout is Keras's, which draws for each batch from its seed; tfnn's draws for each example under `tfnn.fit`."""
    plain, ours = compiled(*NORMALISED, steps_per_execution=steps_per_execution), compiled(*NORMALISED)
    run = dict(epochs=3, verbose=0, validation_data=(X[:20], Y[:20]))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # as Keras's that data ran out
        growth = BatchSizeScheduler(schedule, by, "rebatch")
        expected = plain.fit(tfnn.data.growable(X, Y, 16, seed=3), callbacks=[growth], **run)
    growth = BatchSizeScheduler(schedule, by, "rebatch")
    found = tfnn.fit(ours, X, Y, 16, callbacks=[growth], seed=3, jit_compile=False, **run)
    assert_same(ours, plain)
    assert int(plain.optimizer.iterations) == found.updates == updates
    assert expected.history["batch_size"] == found.history["batch_size"] == sizes
    assert expected.history.keys() == found.history.keys()
    for name, values in expected.history.items():
        np.testing.assert_allclose(found.history[name], values, rtol=1e-5)


@pytest.mark.parametrize("by", ["epoch", "update"])
def test_accumulation_gives_the_weights_of_plain_fit(by):
    """Without BatchNorm and Dropout, and where the sizes are whole micro-batches."""
    plain, ours = compiled(), compiled()
    growth = lambda: BatchSizeScheduler({1: 32, 4: 48}, by)
    data = tfnn.data.growable(X, Y, 16, sample_weight=W, seed=3)
    plain.fit(data, epochs=5, verbose=0, callbacks=[growth()])
    history = tfnn.fit(ours, X, Y, 16, 5, 0, [growth()], sample_weight=W, seed=3, jit_compile=False)
    assert_same(ours, plain)
    assert history.traces == 1
    other = compiled()
    tfnn.fit(other, X, Y, 16, 5, 0, [growth()], sample_weight=W, seed=4, jit_compile=False)
    assert np.abs(other.get_weights()[0] - ours.get_weights()[0]).max() > 1e-3


def test_a_dataset_of_examples_grows_as_arrays_do():
    plain, ours = compiled(), compiled()
    growth = lambda: BatchSizeScheduler({2: 23, 5: 9}, "update")
    examples = tf.data.Dataset.from_tensor_slices((X, Y, W))
    plain.fit(tfnn.data.growable(examples, batch_size=16), epochs=3, verbose=0, callbacks=[growth()])
    arrays = tfnn.data.growable(X, Y, 16, sample_weight=W, shuffle=False)
    ours.fit(arrays, epochs=3, verbose=0, callbacks=[growth()])
    assert_same(ours, plain)


def test_nests_and_data_without_labels_are_read():
    inputs = {"a": keras.Input((6,), name="a"), "b": keras.Input((6,), name="b")}
    model = keras.Model(inputs, [LAYERS.Dense(3)(inputs["a"]), LAYERS.Dense(1)(inputs["b"])])
    model.compile("sgd", ["mse", "mae"])
    y = [np.eye(3, dtype=np.float32)[Y], W[:, None]]
    model.fit(
        tfnn.data.growable({"a": X, "b": X}, y, 16), epochs=1, verbose=0, callbacks=[BatchSizeScheduler({2: 30}, "update")]
    )
    assert int(model.optimizer.iterations) == 3
    assert len(tfnn.data.growable(X)[0]) == 1


def test_without_callbacks_and_in_a_second_fit_it_is_as_any_data():
    plain, ours = compiled(), compiled()
    data = tfnn.data.growable(X, Y, 16, seed=3)
    plain.fit(data, epochs=2, verbose=0, callbacks=[BatchSizeScheduler({1: 30})])
    plain.fit(data, epochs=2, verbose=0)
    plain.fit(data, epochs=3, initial_epoch=2, verbose=0, callbacks=[BatchSizeScheduler({0: 20})])
    tfnn.fit(ours, X, Y, 16, 2, 0, [BatchSizeScheduler({1: 30}, mode="rebatch")], seed=3, jit_compile=False)
    tfnn.fit(ours, X, Y, 16, 2, 0, seed=3, jit_compile=False)
    tfnn.fit(ours, X, Y, 16, 3, 0, [BatchSizeScheduler({0: 20}, mode="rebatch")], initial_epoch=2, seed=3, jit_compile=False)
    assert_same(ours, plain)


def test_fit_of_tfnn_takes_it_as_arrays():
    ours, again = compiled(), compiled()
    growth = lambda: BatchSizeScheduler({1: 32})
    tfnn.fit(ours, tfnn.data.growable(X, Y, 16, seed=3), epochs=2, verbose=0, callbacks=[growth()], jit_compile=False)
    tfnn.fit(again, X, Y, 16, 2, 0, [growth()], seed=3, jit_compile=False)
    assert_same(ours, again, atol=0)
    examples = tf.data.Dataset.from_tensor_slices((X, Y))
    assert tfnn.fit(compiled(), tfnn.data.growable(examples, batch_size=16), epochs=1, verbose=0).updates == 4
    with pytest.raises(ValueError, match="y, sample_weight and batch_size are arguments of growable"):
        tfnn.fit(ours, tfnn.data.growable(X, Y), batch_size=3)


def test_it_is_refused_where_the_order_counts():
    model = compiled()
    for call in tfnn.predict, tfnn.evaluate:
        with pytest.raises(ValueError, match="give the arrays that it was made of"):
            call(model, tfnn.data.growable(X, Y))


def test_class_weights_and_one_weight_for_several_outputs_are_as_with_arrays():
    by_rows, inputs, weights = dict(shuffle=False, verbose=0), keras.Input((6,)), []
    ours = {"x": tfnn.data.growable(X, [Y, Y], 16, sample_weight=W, shuffle=False)}
    for data in {"x": X, "y": [Y, Y], "batch_size": 16, "sample_weight": W}, ours:
        keras.utils.set_random_seed(2)
        model = keras.Model(inputs, [LAYERS.Dense(3, "softmax")(inputs), LAYERS.Dense(3, "softmax")(inputs)])
        model.compile("sgd", ["sparse_categorical_crossentropy"] * 2)
        model.fit(**data, **by_rows)
        weights.append(model)
    assert_same(*weights)
    weights = [compiled(), compiled()]
    weights[0].fit(X, Y, 16, class_weight={0: 3.0, 1: 1.0, 2: 0.5}, **by_rows)
    weights[1].fit(tfnn.data.growable(X, Y, 16, shuffle=False), class_weight={0: 3.0, 1: 1.0, 2: 0.5}, **by_rows)
    assert_same(*weights)


def test_a_run_that_stopped_inside_an_epoch_leaves_nothing_to_the_next():
    data, ours, plain = tfnn.data.growable(X, Y, 16, seed=3), compiled(), compiled()

    for fit in (lambda **run: plain.fit(data, **run)), (lambda **run: tfnn.fit(ours, data, **run)):
        halt = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: batch == 1 and setattr(halt.model, "stop_training", True)
        )
        fit(epochs=2, verbose=0, callbacks=[BatchSizeScheduler({0: 20}, mode="rebatch"), halt])
        fit(epochs=2, verbose=0)
    assert int(plain.optimizer.iterations) == 2 + 8
    assert_same(ours, plain)


def test_backup_and_restore_goes_on_in_mid_growth_with_the_same_order_and_rate(tmp_path):
    whole, again = compiled(), compiled()

    def fit(model, epochs, *callbacks):
        growth = BatchSizeScheduler({1: 20, 2: 30}, scale_learning_rate=True)
        model.fit(tfnn.data.growable(X, Y, 16, seed=1), epochs=epochs, verbose=0, callbacks=[growth, *callbacks])

    fit(whole, 4)
    backup = lambda: keras.callbacks.BackupAndRestore(str(tmp_path), delete_checkpoint=False)
    fit(compiled(), 2, backup())
    fit(again, 4, backup())
    assert_same(again, whole, atol=0)
    assert int(again.optimizer.iterations) == 4 + 3 + 2 + 2


def test_the_bar_shows_the_batches_of_each_epoch(capsys):
    growth = BatchSizeScheduler({1: 30, 2: 10})
    compiled().fit(tfnn.data.growable(X, Y, 16), epochs=3, verbose=2, callbacks=[growth])
    told = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "/step" in line]
    assert told == ["4/4", "2/2", "6/6"]
    compiled().fit(tfnn.data.growable(X, Y, 16), epochs=3, verbose=1, callbacks=[BatchSizeScheduler({1: 30, 2: 10})])
    assert "6/6" in capsys.readouterr().out


REFUSED = {
    "lengths": (lambda: tfnn.data.growable(X, Y[:5]), r"same number of examples, got \[5, 60\]"),
    "no examples": (lambda: tfnn.data.growable(X[:0]), "same number of examples"),
    "no array": (lambda: tfnn.data.growable("x"), "dense arrays, got str"),
    "batch size": (lambda: tfnn.data.growable(X, Y, 0), "batch_size=0 must be an integer of at least 1"),
    "seed": (lambda: tfnn.data.growable(X, Y, seed=-1), "seed=-1 must be"),
    "unknown length": (
        lambda: tfnn.data.growable(tf.data.Dataset.from_tensor_slices(X).filter(lambda x: True)),
        "whose number is known, .*assert_cardinality",
    ),
    "endless": (lambda: tfnn.data.growable(tf.data.Dataset.from_tensor_slices(X).repeat()), "no end"),
    "labels beside": (lambda: tfnn.data.growable(tf.data.Dataset.from_tensor_slices(X), Y), "y was given beside"),
}


@pytest.mark.parametrize("make, message", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_refused_in_one_line(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


def test_a_size_above_the_data_is_refused_before_the_first_update():
    model = compiled()
    for by in "epoch", "update":
        with pytest.raises(ValueError, match="batch size 61 must be between 1 and the 60 training examples"):
            model.fit(tfnn.data.growable(X, Y, 16), verbose=0, callbacks=[BatchSizeScheduler({9: 61}, by)])
    assert int(model.optimizer.iterations) == 0


def test_more_workers_are_refused():
    with pytest.raises(AttributeError, match="workers"):
        tfnn.data.growable(X, Y).workers = 4
