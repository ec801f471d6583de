"""`tfnn train --resume`: a killed command goes on to the same result."""

import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.cli.conftest import FAST
from tests.cli.test_cli import refused
from tfnn.cli import main


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of a run like `run`, in a process of its own, killed when its second epoch began."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    command = [sys.executable, "-m", "tfnn", "train", *FAST, "--out", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in process.stdout:
        if line.startswith("Epoch 2/"):
            break
    process.kill()
    process.communicate()
    assert not (folder / "result.json").exists() and list((folder / "checkpoints").glob("update-*"))
    return folder


def test_a_killed_command_goes_on_to_the_same_result(run, killed, tmp_path, capsys):
    folder = shutil.copytree(killed, tmp_path / "run")
    assert main(["train", "--resume", str(folder), "--epochs", "3"]) == 0
    assert "Epoch 1/3" not in capsys.readouterr().out
    results = [json.loads((path / "result.json").read_text()) for path in (folder, run[0])]
    for result in results:
        for name in "train_seconds", "traces", "bundle":
            assert result.pop(name) is not None
    assert results[0] == results[1]
    models = [keras.saving.load_model(path / "model.keras").get_weights() for path in (folder, run[0])]
    assert all(np.array_equal(a, b) for a, b in zip(*models))
    config = [json.loads((path / "config.json").read_text()) for path in (folder, run[0])]
    assert config[0] | {"out": None} == config[1] | {"out": None}
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in run[0].iterdir())
    assert main(["train", "--resume", str(folder)]) == 0
    assert f"the run in {folder} is finished" in capsys.readouterr().out


def test_without_checkpoints_it_begins_anew(run, killed, tmp_path, capsys):
    folder = shutil.copytree(killed, tmp_path / "run")
    shutil.rmtree(folder / "checkpoints")
    assert main(["train", "--resume", str(folder)]) == 0
    assert "Epoch 1/3" in capsys.readouterr().out
    history = [json.loads((path / "result.json").read_text())["history"] for path in (folder, run[0])]
    np.testing.assert_allclose(history[0]["loss"], history[1]["loss"], rtol=1e-5)


def test_what_cannot_be_resumed_is_refused_in_one_line(killed, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "config.json").write_text("{")
    before = sorted(killed.rglob("*"))
    for arguments, message in (
        ([tmp_path / "nowhere"], "nowhere: no run of tfnn train to go on with"),
        ([tmp_path / "file"], "file: no run of tfnn train to go on with"),
        ([tmp_path / "damaged"], "config.json is damaged"),
        ([killed, "--epochs", 30], f"--epochs 30 contradicts the run in {killed}, which has 3: leave --epochs out"),
        ([killed, "--grow-batch", "none"], "--grow-batch {} contradicts"),
        ([killed, "--out", tmp_path / "other"], "other contradicts the run"),
        ([killed, "--seed", 2, "--epochs", 3], "--seed 2 contradicts"),
    ):
        assert message in refused(capsys, "train", "--resume", *arguments)
    assert sorted(killed.rglob("*")) == before
