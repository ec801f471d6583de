"""Steps over several runs of one model, over a run that was killed, and what a session leaves behind once."""

import keras
import numpy as np
import pytest
from tensorboard.plugins.hparams import metadata

import tfnn
from tests.callbacks.tensorboard.runs import UPDATES, X, Y, linear, reader, reference, scalars, tensors
from tfnn.callbacks import Checkpoint, TensorBoard


@pytest.mark.parametrize("fit", [tfnn.fit, keras.Model.fit])
@pytest.mark.parametrize("one_board", [True, False])
def test_steps_go_on_over_two_runs(fit, one_board, tmp_path):
    model, boards = linear(), [TensorBoard(tmp_path, update_freq=3) for _ in range(2)]
    first = fit(model, X, Y, 8, 2, 0, [boards[0]], shuffle=False).history["loss"]
    second = fit(model, X, Y, 8, 1, 0, [boards[0 if one_board else 1]], shuffle=False).history["loss"]
    found = scalars(tmp_path / "train")
    np.testing.assert_allclose(list(found["epoch_loss"].values()), first + second, rtol=1e-6)
    assert list(found["epoch_loss"]) == [UPDATES, 2 * UPDATES, 3 * UPDATES]
    assert list(found["batch_loss"]) == list(range(3, 3 * UPDATES + 1, 3))
    np.testing.assert_allclose(list(found["batch_loss"].values()), [row["loss"] for row in reference(8, 3)[2::3]], rtol=1e-4)


class Killed(Exception):
    pass


@pytest.mark.parametrize("dies_after", [2 * UPDATES + 1, 2 * UPDATES + 3])
@pytest.mark.parametrize("save_freq", ["epoch", 4, 5])
def test_a_killed_run_that_is_resumed_shows_each_update_once(dies_after, save_freq, tmp_path):
    """It had written beyond its last checkpoint; the curves must be those of a run that was never interrupted."""

    def run(folder, resume=None, dies=False):
        model, board = linear(), TensorBoard(tmp_path / folder, 1, update_freq=1)
        saves = [Checkpoint(tmp_path / "saved", save_freq, monitor="loss")] if folder == "killed" else []
        callbacks = [board, *saves, *([Dying(board)] if dies else [])]
        tfnn.fit(model, X, Y, 8, 4, 0, callbacks, seed=5, resume=resume)

    class Dying(keras.callbacks.Callback):
        def __init__(self, board):
            super().__init__()
            self.board = board

        def on_train_batch_end(self, batch, logs=None):
            if self.board.step == dies_after:
                self.board.write_updates(dies_after)  # as it does each second
                raise Killed

    run("whole")
    with pytest.raises(Killed):
        run("killed", dies=True)
    run("killed", resume=tmp_path / "saved")
    whole, resumed = (scalars(tmp_path / folder / "train") for folder in ("whole", "killed"))
    assert whole.keys() == resumed.keys()
    for tag, values in whole.items():
        assert list(resumed[tag]) == list(values), tag
        if "per_second" not in tag:
            assert resumed[tag] == values, tag


def test_what_was_written_beyond_the_checkpoint_is_dropped(tmp_path):
    """Were it not, the reader would find two values at a step: the START of a session is what drops them."""
    model = linear()
    tfnn.fit(model, X, Y, 8, 2, 0, [TensorBoard(tmp_path, update_freq=1)], shuffle=False)
    model.optimizer.iterations.assign(UPDATES)  # as if a checkpoint had been taken up
    tfnn.fit(model, X, Y, 8, 1, 0, [TensorBoard(tmp_path, update_freq=4)], shuffle=False)
    assert list(scalars(tmp_path / "train")["batch_loss"]) == [*range(1, UPDATES + 1), 8, 12]


def test_the_graph_is_that_of_training_and_is_written_once(tmp_path):
    model, board = linear(), TensorBoard(tmp_path)
    for _ in range(2):
        tfnn.fit(model, X, Y, 8, 1, 0, [board], jit_compile=False)
    found = reader(tmp_path / "train")
    assert any("while" in node.name for node in found.Graph().node)
    assert [b"while_body" in path.read_bytes() for path in sorted((tmp_path / "train").iterdir())] == [True, False]
    assert "keras" in found.Tags()["tensors"]


def test_no_graph_where_none_is_wanted(tmp_path):
    tfnn.fit(linear(), X, Y, 8, 1, 0, [TensorBoard(tmp_path, write_graph=False)])
    found = reader(tmp_path / "train")
    assert not found.Tags()["graph"] and "keras" not in found.Tags()["tensors"]


def test_the_configuration_is_written_as_text(tmp_path):
    tfnn.fit(linear(), X, Y, 8, 1, 0, [TensorBoard(tmp_path)], seed=1234)
    text = {tag: str(events[0][1]) for tag, events in tensors(tmp_path / "train").items() if tag.startswith("configuration")}
    assert "| momentum | 0.0 |" in text["configuration/optimizer"]
    assert "| seed | 1234 |" in text["configuration/fit"] and "| batch_size | 8 |" in text["configuration/fit"]
    assert keras.__version__ in text["configuration/versions"] and "dense" in text["configuration/model"]


def test_hparams_come_with_the_final_logs(tmp_path):
    board = TensorBoard(tmp_path, hparams={"learning_rate": 0.1, "depth": np.int64(2), "kind": "linear", "wide": False})
    history = tfnn.fit(linear(), X, Y, 8, 2, 0, [board], validation_data=(X, Y)).history
    found, run = reader(tmp_path / "hparams"), scalars(tmp_path / "hparams")
    content = found.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    values = metadata.parse_session_start_info_plugin_data(content).hparams
    assert values["learning_rate"].number_value == 0.1 and values["depth"].number_value == 2
    assert values["kind"].string_value == "linear" and values["wide"].bool_value is False
    assert run.keys() == {f"final/{name}" for name in history}
    for name, values in history.items():
        np.testing.assert_allclose(run[f"final/{name}"][2 * UPDATES], values[-1], rtol=1e-6)


@pytest.mark.parametrize("fit", [tfnn.fit, keras.Model.fit])
def test_a_profile_is_taken_of_the_batches_asked_for(fit, tmp_path):
    fit(linear(), X, Y, 8, 2, 0, [TensorBoard(tmp_path, profile_batch=(2, 4))])
    assert list(tmp_path.rglob("*.xplane.pb"))


@pytest.mark.parametrize("evaluate", [keras.Model.evaluate, tfnn.evaluate])
def test_evaluation_by_itself_is_shown_by_updates(evaluate, tmp_path):
    model, board = linear(), TensorBoard(tmp_path)
    tfnn.fit(model, X, Y, 8, 1, 0)
    loss = evaluate(model, X, Y, verbose=0, callbacks=[board])[0]
    found = scalars(tmp_path / "validation")["evaluation_loss_vs_iterations"]
    np.testing.assert_allclose(list(found.items()), [(UPDATES, loss)], rtol=1e-6)
