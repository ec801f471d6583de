"""What a batch needs of memory, by hand; what is free; the refusal, before anything is trained; what is let go afterwards."""

import gc
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tfnn.callbacks import BatchSizeScheduler
from tfnn.training.graph import memory
from tfnn.training.predict import joined
from tfnn.training.resume import saver


def largest(function, *specs, size):
    fixed, of_example = memory.living_bytes(tf.function(function, autograph=False).get_concrete_function(*specs).graph, size)
    return [float(np.max(fixed)), float(np.max(of_example))]


ROWS = tf.TensorSpec([1009, 10], tf.float32)  # 40 bytes an example


def test_tensors_count_from_where_they_are_made_to_where_they_are_read_last():
    chain = lambda x: tf.exp(tf.exp(tf.exp(x)))  # the argument ends with the first exp: two at a time
    assert largest(chain, ROWS, size=1009) == [0, 80]

    def kept(x):
        a = tf.exp(x)
        b = tf.exp(a)
        return tf.exp(b) + a  # a, b and exp(b)

    assert largest(kept, ROWS, size=1009) == [0, 120]


def test_views_are_not_counted_and_keep_what_they_show():
    view = lambda x: tf.reshape(x, [10, 1009])
    assert largest(view, ROWS, size=1009) == [8, 40]  # 8 of the shape

    def shown(x):
        a = tf.exp(x)
        flat = tf.reshape(a, [-1])
        b = tf.exp(a)
        return tf.exp(b)[0, 0] + flat[0]  # a lives on by its view

    assert largest(shown, ROWS, size=1009)[1] == pytest.approx(120, abs=1)


def test_what_does_not_grow_with_the_batch_is_told_apart():
    weights = tf.TensorSpec([10, 7], tf.float32)
    assert largest(tf.matmul, ROWS, weights, size=1009) == [280, 40 + 28]


def compiled(width=64):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(width, "relu"), keras.layers.Dense(3, "softmax")])
    model.compile(tfnn.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    return model


X, Y = np.zeros((600, 8), np.float32), np.zeros(600, int)
FIT = dict(batch_size=16, epochs=1, verbose=0, jit_compile=False)


def test_a_pass_is_estimated_by_its_activations_and_gradients(monkeypatch):
    """For each example: input 8, hidden units before and after relu and their gradient, outputs; some are views or freed."""
    seen = []
    monkeypatch.setattr(memory.Memory, "check", lambda self, size: seen.append([self.needed(n) for n in (1000, 2000, 4000)]))
    tfnn.fit(compiled(1024), X, Y, callbacks=[BatchSizeScheduler({1: 500}, mode="rebatch")], **FIT)
    first, second, third = seen[0]
    assert 2 * 4 * 1024 < (second - first) / 1000 < 4 * 4 * 1024
    assert third - second == pytest.approx(2 * (second - first), rel=1e-6)


@pytest.mark.parametrize("growth", [{1: 64, 99: 500}, {0: 500}], ids=["planned", "at once"])
def test_a_batch_too_large_for_the_memory_is_refused_before_the_first_update(growth, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 2**18)
    model = compiled()
    message = r"a batch of 500 needs about 0\.\d+ GiB .* 0\.000244 GiB are free: mode='accumulate' needs only what 16 examples"
    with pytest.raises(ValueError, match=message) as error:
        tfnn.fit(model, X, Y, callbacks=[BatchSizeScheduler(growth, mode="rebatch")], **FIT)
    assert "\n" not in str(error.value) and int(model.optimizer.iterations) == 0
    tfnn.fit(model, X, Y, callbacks=[BatchSizeScheduler({0: 32}, mode="rebatch")], **FIT)
    tfnn.fit(model, X, Y, callbacks=[BatchSizeScheduler(growth)], **FIT)


def test_a_size_that_fitted_is_not_refused_later_when_the_run_itself_holds_memory(monkeypatch):
    free = iter([2**40])
    monkeypatch.setattr(memory, "free_bytes", lambda: next(free, 0))
    growth = BatchSizeScheduler({0: 500, 1: 100, 2: 500}, mode="rebatch")
    assert tfnn.fit(compiled(), X, Y, callbacks=[growth], **FIT | {"epochs": 3}).batch_sizes == [500, 100, 500]


def test_batches_of_a_stream_and_of_a_model_with_its_own_step_are_measured(monkeypatch):
    class Own(keras.Model):
        def train_step(self, data):
            return super().train_step(data)

    inputs = keras.Input((8,))
    model = Own(inputs, keras.layers.Dense(3, "softmax")(inputs))
    model.compile("sgd", "sparse_categorical_crossentropy")
    monkeypatch.setattr(memory, "free_bytes", lambda: 2**10)
    growth = lambda: [BatchSizeScheduler({0: 512}, mode="rebatch")]
    with pytest.raises(ValueError, match="a batch of 512 needs"):
        tfnn.fit(model, X, Y, callbacks=growth(), **FIT)
    with pytest.raises(ValueError, match="a batch of 512 needs"):
        tfnn.fit(compiled(), tf.data.Dataset.from_tensor_slices((X, Y)).batch(16), verbose=0, callbacks=growth())


def test_a_run_that_accumulates_measures_nothing(monkeypatch):
    monkeypatch.setattr(memory.Memory, "needed", None)
    monkeypatch.setattr(memory, "free_bytes", None)
    tfnn.fit(compiled(), X, Y, callbacks=[BatchSizeScheduler({0: 512})], **FIT)


def test_a_container_has_what_its_limit_leaves(tmp_path):
    for name, text in ("max", "1000"), ("current", "700"), ("stat", "anon 5\ninactive_file 200\n"):
        (tmp_path / f"memory.{name}").write_text(text)
    assert memory.free_of_container(tmp_path) == 500
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.free_of_container(tmp_path) == np.inf
    assert 0 < memory.free_bytes() < 2**50


# What is let go ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [keras.optimizers.Adam, tfnn.optimizers.Adam], ids=["Keras's", "tfnn's"])
def test_the_graphs_of_a_model_that_is_gone_are_freed(optimizer):
    """Under `model.fit` TensorFlow keeps a traced update of Keras's optimizers to the end of the process."""

    def graphs_after_a_fit():
        model = compiled(4)
        model.compile(optimizer(), "sparse_categorical_crossentropy")
        tfnn.fit(model, X, Y, **FIT, validation_data=(X, Y))
        del model
        gc.collect()
        return sum(isinstance(thing, tf.Graph) for thing in gc.get_objects())

    assert graphs_after_a_fit() == graphs_after_a_fit()


def test_a_resumed_run_lets_go_of_its_checkpoint(tmp_path, monkeypatch):
    held = []
    found = saver.found
    monkeypatch.setattr(
        sys.modules["tfnn.training.request"], "found", lambda directory: held.append(found(directory)) or held[-1]
    )

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            sizes.append(len(held[-1][1]) if held[-1] else 0)

    def fit(*callbacks):
        checkpoint = tfnn.callbacks.Checkpoint(tmp_path, save_freq=5, monitor="loss")
        tfnn.fit(compiled(4), X, Y, 16, 2, 0, [checkpoint, *callbacks], seed=1, resume=tmp_path)

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 12:
                raise InterruptedError

    sizes = []
    with pytest.raises(InterruptedError):
        fit(Stop())
    fit(Look())
    _, arrays, meta = held[-1]
    assert meta["trainer"]["mid_epoch"] and arrays == {} and len(sizes) == 2 * 38 - 10 and not any(sizes)


def test_predict_joins_batches_and_lets_go_of_each():
    parts = [tf.constant([[1.0], [2.0]]), tf.constant([[3.0], [4.0]]), tf.constant([[5.0]])]
    np.testing.assert_array_equal(joined(parts), [[1.0], [2.0], [3.0], [4.0], [5.0]])
    assert parts == []
    with pytest.raises(ValueError, match="dimension"):
        joined([tf.zeros((2, 5, 1)), tf.ones((2, 1, 1))])
