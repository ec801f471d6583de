"""The numbers of epochs and updates, read back and compared with the history and with numpy."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.callbacks.tensorboard.runs import UPDATES, X, Y, linear, reference, scalars, tensors
from tfnn.callbacks import TensorBoard

SOURCES = {
    "arrays": lambda size: (X, Y, size),
    "tf.data": lambda size: (tf.data.Dataset.from_tensor_slices((X, Y)).batch(size),),
}
WAYS = {"plain": {"jit_compile": False}, "XLA": {"jit_compile": True}, "accumulated": {"accumulate": 2}}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("every", [1, 4])
def test_values_of_updates_are_those_of_the_update_itself(source, way, every, tmp_path):
    size = 8 // WAYS[way].get("accumulate", 1)
    board = TensorBoard(tmp_path, update_freq=every)
    tfnn.fit(linear(), *SOURCES[source](size), epochs=2, verbose=0, callbacks=[board], shuffle=False, **WAYS[way])
    found, rows = scalars(tmp_path / "train"), reference(8, 2)
    steps = range(every, 2 * UPDATES + 1, every)
    for name in "loss", "mae", "gradient_norm", "learning_rate":
        assert list(found[f"batch_{name}"]) == list(steps)
        expected = [rows[step - 1][name] for step in steps]
        np.testing.assert_allclose(list(found[f"batch_{name}"].values()), expected, rtol=2e-4, err_msg=name)
    assert "batch_root_mean_squared_error" not in found  # no mean: its value on a batch is not to be had from its sums


@pytest.mark.parametrize("way", WAYS)
def test_epochs_stand_at_the_count_of_updates(way, tmp_path):
    size = 8 // WAYS[way].get("accumulate", 1)
    board, data = TensorBoard(tmp_path), (X[:10], Y[:10])
    history = tfnn.fit(linear(), X, Y, size, 3, 0, [board], shuffle=False, validation_data=data, **WAYS[way]).history
    train, validation, rows = scalars(tmp_path / "train"), scalars(tmp_path / "validation"), reference(8, 3)
    ends = [UPDATES, 2 * UPDATES, 3 * UPDATES]
    for name in "loss", "mae", "root_mean_squared_error":
        np.testing.assert_allclose(list(train[f"epoch_{name}"].values()), history[name], rtol=1e-6)
        np.testing.assert_allclose(list(validation[f"epoch_{name}"].values()), history[f"val_{name}"], rtol=1e-6)
    first, last = rows[::UPDATES], rows[UPDATES - 1 :: UPDATES]
    expected = {
        "gradient_norm": [row["gradient_norm"] for row in first],
        "gradient_norm/dense": [row["gradient_norm"] for row in first],
        "update_ratio/dense": [row["update_ratio"] for row in first],
        "weight_norm": [row["weight_norm"] for row in last],
        "weight_norm/dense": [row["weight_norm"] for row in last],
        "epoch_learning_rate": [0.1] * 3,
        "batch_size": [8] * 3,
        "traces": [1] * 3,
    }
    for tag, values in expected.items():
        assert list(train[tag]) == ends
        np.testing.assert_allclose(list(train[tag].values()), values, rtol=2e-4, err_msg=tag)
    assert not any(tag.startswith("batch_") and tag != "batch_size" for tag in train)


def test_speed_is_that_of_training_alone(tmp_path):
    class Slow(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            time.sleep(0.02)

        def on_test_begin(self, logs=None):
            time.sleep(1)

    board = TensorBoard(tmp_path, write_steps_per_second=True)
    tfnn.fit(linear(), X, Y, 8, 3, 0, [board, Slow()], validation_data=(X, Y))
    found = scalars(tmp_path / "train")
    rate, examples = found["updates_per_second"], found["examples_per_second"]
    assert 10 < rate[3 * UPDATES] < 50  # 6 updates of 0.02 s; with the second of validation 5
    assert found["epoch_steps_per_second"] == rate
    np.testing.assert_allclose(examples[3 * UPDATES], rate[3 * UPDATES] * len(X) / UPDATES, rtol=1e-5)


class Noise(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs["noise_scale"] = 7.0 + epoch


@pytest.mark.parametrize("later", [False, True])
def test_logs_of_other_callbacks_are_written_wherever_they_stand(later, tmp_path):
    board = TensorBoard(tmp_path)
    tfnn.fit(linear(), X, Y, 8, 2, 0, [board, Noise()] if later else [Noise(), board])
    assert scalars(tmp_path / "train")["epoch_noise_scale"] == {UPDATES: 7.0, 2 * UPDATES: 8.0}


def test_updates_are_not_run_one_by_one(tmp_path):
    """But for the first of an epoch, which is looked at."""
    pieces, model, board = [], linear(), TensorBoard(tmp_path, update_freq="batch")
    tfnn.fit(model, X, Y, 2, 1, 0, [board])  # traces
    graph = model._tfnn_graph
    record, graph.pace.record = graph.pace.record, lambda updates, seconds: (pieces.append(updates), record(updates, seconds))
    tfnn.fit(model, X, Y, 2, 2, 0, [board])
    assert pieces == [1, 21, 1, 21]


def test_a_ring_that_is_full_is_read_before_it_is_overwritten(tmp_path, monkeypatch):
    monkeypatch.setattr("tfnn.callbacks.tensorboard.updates.ROWS", 4)
    tfnn.fit(linear(), X, Y, 2, 2, 0, [TensorBoard(tmp_path, update_freq=2)], shuffle=False)
    found, rows = scalars(tmp_path / "train")["batch_loss"], reference(2, 2)
    assert list(found) == list(range(2, 45, 2))
    np.testing.assert_allclose(list(found.values()), [rows[step - 1]["loss"] for step in found], rtol=1e-4)


def test_a_board_changes_no_bit_of_the_run(tmp_path):
    watched, alone = linear(), linear()
    board = TensorBoard(tmp_path, update_freq=1, histogram_freq=1, image_freq=1, confusion_freq=0)
    for model, callbacks in (watched, [board]), (alone, []):
        tfnn.fit(model, X, Y, 8, 3, 0, callbacks, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(watched.get_weights(), alone.get_weights()))


def test_an_update_that_is_left_out_is_not_shown(tmp_path):
    spoilt = X.copy()
    spoilt[[1, 20], 1] = np.nan  # the first and the third batch of 8
    tfnn.fit(linear(), spoilt, Y, 8, 1, 0, [TensorBoard(tmp_path, update_freq=1)], shuffle=False, nonfinite="skip")
    found = scalars(tmp_path / "train")
    assert list(found["batch_loss"]) == [1, 2, 3, 4]
    assert np.isfinite([value for values in found.values() for value in values.values()]).all()
    assert any(tag.startswith("update_ratio") for tag in found)  # of the first that was made


def test_histograms_hold_weights_gradients_and_steps(tmp_path):
    model = linear()
    tfnn.fit(model, X, Y, 8, 3, 0, [TensorBoard(tmp_path, histogram_freq=2, write_images=True)], shuffle=False)
    found, path = tensors(tmp_path / "train"), "dense/kernel"
    for tag, values in {f"{path}/histogram": model.weights[0].numpy(), f"{path}/gradient/histogram": None}.items():
        assert [step for step, _ in found[tag]] == [UPDATES, 3 * UPDATES]  # epochs 0 and 2
        buckets = found[tag][-1][1]  # (buckets, left, right and count)
        assert buckets[:, 2].sum() == 3
        if values is not None:
            np.testing.assert_allclose([buckets[0, 0], buckets[-1, 1]], [values.min(), values.max()], rtol=1e-6)
    step, gradient = (found[f"{path}/{kind}/histogram"][0][1] for kind in ("update", "gradient"))
    np.testing.assert_allclose(step[0, 0], -0.1 * gradient[-1, 1], rtol=1e-4)  # −η times the largest
    assert f"{path}/image" in found


def test_weights_that_are_not_finite_still_have_a_histogram(tmp_path):
    spoilt = np.full_like(X, np.nan)
    tfnn.fit(linear(), spoilt, Y, 8, 1, 0, [TensorBoard(tmp_path, histogram_freq=1, update_freq=1)], nonfinite="ignore")
    assert np.isnan(list(scalars(tmp_path / "train")["batch_loss"].values())).all()


def test_a_sparse_gradient_is_measured(tmp_path):
    model = keras.Sequential([keras.layers.Embedding(5, 2), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    board = TensorBoard(tmp_path, histogram_freq=1, update_freq=1)
    tfnn.fit(model, np.arange(20).reshape(-1, 1) % 5, Y[:20], 4, 1, 0, [board])
    assert min(scalars(tmp_path / "train")["batch_gradient_norm"].values()) > 0


def test_a_model_with_its_own_step_shows_its_epochs(tmp_path):
    class Own(keras.Model):
        def train_step(self, data):
            return super().train_step(data)

    inputs = keras.Input((3,))
    model = Own(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="no single updates of a model with a training step of its own"):
        history = tfnn.fit(model, X, Y, 8, 2, 0, [TensorBoard(tmp_path, update_freq=1)])
    found = scalars(tmp_path / "train")
    np.testing.assert_allclose(list(found["epoch_loss"].values()), history.history["loss"], rtol=1e-6)
    assert "batch_loss" not in found and "gradient_norm" not in found
