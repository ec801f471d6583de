"""A batch that grows and shrinks: which examples each update takes, its rate, its place in a resumed run."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tfnn.callbacks import BatchSizeScheduler

RNG = np.random.RandomState(3)
X, Y = RNG.normal(size=(44, 3)).astype(np.float32), RNG.normal(size=(44, 1)).astype(np.float32)


def linear(rate=0.1, optimizer=None):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(optimizer or tfnn.optimizers.SGD(rate), "mse")
    return model


def reference(size_at, epochs, rate=0.1, first=None):
    """Plain SGD in numpy over the rows in order; `size_at(epoch, update)`, and a rate in proportion to size / `first`."""
    w, update, sizes = np.ones((3, 1)), 0, []
    for epoch in range(epochs):
        at = 0
        while at < len(X):
            size = size_at(epoch, update)
            x, y = X[at : at + size], Y[at : at + size]
            w = w - rate * (size / first if first else 1) * 2 * x.T @ (x @ w - y) / len(x)
            at, update = at + size, update + 1
            sizes.append(size)
    return w, sizes


STEPS = {0: 4, 3: 8, 10: 24, 13: 12}
SCHEDULES = {  # name: (schedule, by, the batch size of an epoch and an update, both from 0)
    "dict by update": (STEPS, "update", lambda epoch, update: STEPS[max(u for u in STEPS if u <= update)]),
    "dict by epoch": ({1: 12, 2: 8}, "epoch", lambda epoch, update: (4, 12, 8)[epoch]),
    "function of the update": (lambda update: 4 + 4 * (update // 5), "update", lambda epoch, update: 4 + 4 * (update // 5)),
    "a schedule of Keras's": (
        keras.optimizers.schedules.PiecewiseConstantDecay([0, 1], [4, 12, 8]),
        "epoch",
        lambda epoch, update: (4, 12, 8)[epoch],
    ),
}
SOURCES = {
    "arrays": lambda: (X, Y, 4),
    "tf.data": lambda: (tf.data.Dataset.from_tensor_slices((X, Y)).batch(4),),
}


@pytest.mark.parametrize("scale_learning_rate", [False, True])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("mode", ["accumulate", "rebatch"])
@pytest.mark.parametrize("schedule, by, size_at", SCHEDULES.values(), ids=SCHEDULES)
def test_each_update_has_the_mean_over_the_planned_examples(schedule, by, size_at, mode, source, scale_learning_rate):
    model, growth = linear(rate=0.05), BatchSizeScheduler(schedule, by, mode, scale_learning_rate)
    history = tfnn.fit(model, *SOURCES[source](), epochs=3, verbose=0, callbacks=[growth], shuffle=False, jit_compile=False)
    expected, sizes = reference(size_at, 3, 0.05, first=4 if scale_learning_rate else None)
    np.testing.assert_allclose(model.get_weights()[0], expected, rtol=1e-4, atol=1e-5)
    assert (history.updates, history.traces) == (len(sizes), 1)
    assert history.history["batch_size"][-1] == sizes[-1]


@pytest.mark.parametrize(
    "schedule, by, size_at, steps",
    [
        ({0: 4, 2: 9, 9: 12}, "update", lambda epoch, update: 4 if update < 2 else 9 if update < 9 else 12, None),
        ({0: 4, 3: 22}, "update", lambda epoch, update: 4 if update < 3 else 22, None),  # 22 divides all examples, not the rest
        ({0: 4, 1: 9}, "epoch", lambda epoch, update: 4 if update < 5 else 9, 5),  # epochs that go on in the same pass
    ],
)
def test_under_xla_the_last_of_an_epoch_is_what_the_sizes_before_it_left(schedule, by, size_at, steps):
    model, growth = linear(rate=0.05), BatchSizeScheduler(schedule, by, "rebatch")
    options = dict(shuffle=False, jit_compile=True, steps_per_epoch=steps)
    history = tfnn.fit(model, X, Y, 4, 2, 0, [growth], **options)
    expected, sizes = reference(size_at, 1 if steps else 2, 0.05)
    np.testing.assert_allclose(model.get_weights()[0], expected, rtol=1e-4, atol=1e-5)
    assert history.updates == len(sizes)


def test_a_dict_by_update_interrupts_only_where_a_size_begins():
    growth = BatchSizeScheduler({3: 8, 10: 16}, "update")
    assert [growth.updates_until_due(update) for update in (0, 2, 3, 9, 10, 99)] == [3, 1, 7, 1, None, None]
    assert BatchSizeScheduler(lambda update: 8, "update").updates_until_due(5) == 1
    assert BatchSizeScheduler({3: 8}).updates_until_due(0) is None


def test_updates_are_counted_over_several_runs():
    model, growth = linear(), BatchSizeScheduler({5: 22}, "update")
    sizes = [tfnn.fit(model, X, Y, 11, 1, 0, [growth]).history["batch_size"] for _ in range(3)]
    assert sizes == [[11], [22], [22]]


def test_a_k_fold_batch_takes_a_k_fold_rate_also_where_it_is_rounded():
    """Asked for 10 with micro-batches of 4: 8 = round(10 / 4) · 4, at 8/4 of the rate."""
    scaled, fixed = linear(0.02), linear(0.04)
    tfnn.fit(scaled, X, Y, 4, 1, 0, [BatchSizeScheduler({0: 10}, scale_learning_rate=True)], shuffle=False)
    tfnn.fit(fixed, X, Y, 8, 1, 0, shuffle=False)
    np.testing.assert_allclose(scaled.get_weights()[0], fixed.get_weights()[0], rtol=1e-5)


def test_a_batch_may_be_larger_than_a_short_epoch_and_no_larger_than_the_data():
    growth = lambda size: [BatchSizeScheduler({0: 4, 1: size})]
    history = tfnn.fit(linear(), X, Y, 4, 2, 0, growth(12), steps_per_epoch=2)
    assert history.history["batch_size"] == [4, 12]
    with pytest.raises(ValueError, match="batch size 48 must be between .* the 44 training examples"):
        tfnn.fit(linear(), X, Y, 4, 2, 0, growth(48), steps_per_epoch=2)


class Stop(Exception):
    pass


class StopAt(keras.callbacks.Callback):
    def __init__(self, update):
        super().__init__()
        self.update = update

    def on_train_batch_begin(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == self.update:
            raise Stop


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("mode", ["accumulate", "rebatch"])
def test_a_run_stopped_in_mid_growth_goes_on_to_the_same_bits(mode, source, tmp_path):
    def run(*callbacks, **options):
        model = linear(optimizer=tfnn.optimizers.Adam(0.05))
        growth = BatchSizeScheduler({2: 8, 13: 12, 16: 20}, "update", mode, scale_learning_rate=True)
        options = dict(epochs=3, verbose=0, seed=4, jit_compile=False) | options
        return model, tfnn.fit(model, *SOURCES[source](), callbacks=[growth, *callbacks], **options)

    whole, expected = run()
    for at in 1, 3, 14:
        save = lambda: tfnn.callbacks.Checkpoint(tmp_path / str(at), save_freq=1, monitor="loss", mode="min")
        with pytest.raises(Stop):
            run(save(), StopAt(at))
        model, found = run(save(), resume=tmp_path / str(at))
        np.testing.assert_array_equal(model.get_weights()[0], whole.get_weights()[0])
        assert found.history == expected.history


REFUSED = {
    "by": (lambda: BatchSizeScheduler({}, by="step"), "by='step' must be 'epoch' or 'update'"),
    "mode": (lambda: BatchSizeScheduler({}, mode="grow"), "mode='grow' must be"),
    "kind": (lambda: BatchSizeScheduler(64), "schedule=64 must be a dict {epoch: batch size} or a function"),
    "fraction": (lambda: BatchSizeScheduler({0: 1.5}), "must be a positive integer, got 1.5"),
    "truth": (lambda: BatchSizeScheduler({0: True}), "the batch size from epoch 0 on must be a positive integer, got True"),
    "not positive": (lambda: BatchSizeScheduler({2: 0}), "must be a positive integer, got 0"),
    "no time": (
        lambda: BatchSizeScheduler({"a": 3}, "update"),
        "an update of the schedule must be an integer of at least 0, got 'a'",
    ),
    "before the start": (lambda: BatchSizeScheduler({-1: 3}), "must be an integer of at least 0, got -1"),
}
REFUSED_IN_A_RUN = {
    "below the micro-batch": (BatchSizeScheduler({0: 8, 99: 3}), "batch size 3 must be between the micro-batch of 4"),
    "above the data": (BatchSizeScheduler({99: 45}, "update"), "batch size 45 must be between .* the 44 training examples"),
    "above the data, larger batches": (BatchSizeScheduler({99: 45}, mode="rebatch"), "between 1 and the 44 training"),
    "a fraction": (
        BatchSizeScheduler(lambda update: update + 4.5, "update"),
        "size of update 0 must be a positive integer, got 4.5",
    ),
    "several": (BatchSizeScheduler(lambda epoch: np.array([4, 8])), "of epoch 0 must be a positive integer, got array"),
    "a falling schedule": (
        BatchSizeScheduler(tfnn.schedules.Cosine(8.0, 10)),
        "of epoch 1 must be a positive integer, got 7.8",
    ),
}


@pytest.mark.parametrize("make, message", REFUSED.values(), ids=REFUSED)
def test_a_plan_is_checked_at_once(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("growth, message", REFUSED_IN_A_RUN.values(), ids=REFUSED_IN_A_RUN)
def test_a_size_that_cannot_be_is_one_line_before_it_is_needed(growth, message):
    model = linear()
    with pytest.raises(ValueError, match=message) as error:
        tfnn.fit(model, X, Y, 4, 2, 0, [growth])
    assert "\n" not in str(error.value)
    assert int(model.optimizer.iterations) == (6 if "epoch 1" in message else 0)  # one epoch, of batches of 8
