"""What is shown under `model.fit`, whose graph holds no probe."""

import keras
import numpy as np
import pytest

import tfnn
from tests.callbacks.tensorboard.runs import UPDATES, X, Y, linear, reference, scalars, tensors
from tfnn.callbacks import TensorBoard


@pytest.mark.parametrize("every", [1, 4])
def test_values_of_batches_are_no_running_averages(every, tmp_path):
    linear().fit(X, Y, 8, 2, 0, [TensorBoard(tmp_path, update_freq=every)], shuffle=False)
    found, rows = scalars(tmp_path / "train"), reference(8, 2)
    for name in "loss", "mae", "learning_rate":
        steps = list(range(every, 2 * UPDATES + 1, every))
        assert list(found[f"batch_{name}"]) == steps
        np.testing.assert_allclose(list(found[f"batch_{name}"].values()), [rows[step - 1][name] for step in steps], rtol=2e-4)
    assert "gradient_norm" not in found


def test_several_steps_in_one_execution_are_shown_as_their_mean(tmp_path):
    model = linear()
    model.compile("sgd", "mse", steps_per_execution=2)
    model.optimizer.learning_rate = 0.1
    model.fit(X, Y, 8, 1, 0, [TensorBoard(tmp_path, update_freq=4)], shuffle=False)
    rows = reference(8, 1)
    np.testing.assert_allclose(scalars(tmp_path / "train")["batch_loss"][4], (rows[2]["loss"] + rows[3]["loss"]) / 2, rtol=1e-4)


def test_epochs_are_shown_as_under_tfnn_fit(tmp_path):
    shown = []
    for fit in tfnn.fit, keras.Model.fit:
        folder = tmp_path / fit.__module__
        board = TensorBoard(folder, histogram_freq=1)
        fit(linear(), X, Y, 8, 2, 0, [board], shuffle=False, validation_data=(X, Y))
        shown.append((scalars(folder / "train"), scalars(folder / "validation"), tensors(folder / "train")))
    (ours, our_validation, _), (theirs, their_validation, their_tensors) = shown
    missing = {"gradient_norm", "gradient_norm/dense", "update_ratio/dense", "traces"}
    assert ours.keys() - theirs.keys() == missing and theirs.keys() <= ours.keys()
    assert "dense/kernel/histogram" in their_tensors and "configuration/optimizer" in their_tensors
    for mine, other in (ours, theirs), (our_validation, their_validation):
        for tag in other:
            if "per_second" not in tag:
                np.testing.assert_allclose(list(mine[tag].items()), list(other[tag].items()), rtol=1e-4, err_msg=tag)


def test_what_cannot_be_shown_is_said(tmp_path):
    with pytest.warns(UserWarning, match="no confusion matrix and no batches under model.fit: use tfnn.fit"):
        linear().fit(X, Y, 8, 1, 0, [TensorBoard(tmp_path, confusion_freq=1)])


def test_one_board_serves_both(tmp_path):
    model, board = linear(), TensorBoard(tmp_path, update_freq=1)
    tfnn.fit(model, X, Y, 8, 1, 0, [board])
    model.fit(X, Y, 8, 1, 0, [board])
    tfnn.fit(model, X, Y, 8, 1, 0, [board])
    assert list(scalars(tmp_path / "train")["batch_loss"]) == list(range(1, 3 * UPDATES + 1))


@pytest.mark.parametrize("other_fit", [tfnn.fit, keras.Model.fit])
def test_one_board_serves_models_in_turn(other_fit, tmp_path):
    model, other, board = linear(), linear(), TensorBoard(tmp_path, update_freq=1)
    tfnn.fit(model, X, Y, 8, 1, 0, [board])
    other_fit(other, X, Y, 8, 1, 0, [board])
    board.log_dir = str(tmp_path / "again")
    history = tfnn.fit(model, X, Y, 8, 1, 0, [board]).history
    found = scalars(tmp_path / "again" / "train")
    assert list(found["batch_loss"]) == list(range(UPDATES + 1, 2 * UPDATES + 1))
    np.testing.assert_allclose(np.mean(list(found["batch_loss"].values())), history["loss"], rtol=0.2)
    assert all(value > 0 for value in found["gradient_norm"].values())
