"""`tfnn diagnose` as a user meets it."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.cli.test_cli import blank, refused
from tfnn.cli import main


@pytest.fixture
def trained(run):
    """The folder of a short training."""
    return run[0]


def saved(path, *layers, shape=(8, 8, 1), compiled=True, loss="sparse_categorical_crossentropy"):
    model = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), *layers])
    if compiled:
        model.compile("adam", loss)
    model.save(path)
    return str(path)


def diagnosed(capsys, *arguments):
    """The standard output of a command that succeeds."""
    capsys.readouterr()
    assert main(["diagnose", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_a_run_is_diagnosed_out_of_the_box(trained, capsys):
    output = diagnosed(capsys, trained / "model.keras", "--data", "digits")
    lines = output.splitlines()
    assert lines[1].split()[:2] == ["layer", "output"] and lines[2].startswith("standardize") and lines[5].split()[1] == "10"
    assert "verdict: healthy" in output and "loss 0." in output
    assert sorted(path.name for path in trained.iterdir()) == [
        "bundle",
        "config.json",
        "examples",
        "logs",
        "model.keras",
        "result.json",
    ]


def test_the_batch_is_always_the_same_and_of_the_given_size(trained, capsys):
    outputs = [diagnosed(capsys, trained / "model.keras", *size) for size in ([], ["--batch-size", 128], ["--batch-size", 64])]
    assert outputs[0] == outputs[1] != outputs[2]


def test_json_plot_and_log(trained, tmp_path, capsys):
    files = ["--plot", tmp_path / "picture.png", "--log", tmp_path / "logs"]
    report = json.loads(diagnosed(capsys, trained / "model.keras", "--json", *files))
    assert report["verdict"].startswith("healthy") and [layer["kind"] for layer in report["layers"]][1:] == ["Dense"] * 3
    assert (tmp_path / "picture.png").read_bytes()[:4] == b"\x89PNG"
    (events,) = (tmp_path / "logs").iterdir()
    steps = {event.step for event in tf.compat.v1.train.summary_iterator(str(events)) if event.summary.value}
    assert steps == {json.loads((trained / "result.json").read_text())["updates"]}


def test_an_ill_model_is_told_with_exit_code_0(tmp_path, capsys):
    small = keras.initializers.RandomNormal(stddev=0.01)
    hidden = [keras.layers.Dense(50, "tanh", kernel_initializer=small.clone(), name=f"h{index}") for index in range(8)]
    path = saved(tmp_path / "m.keras", *hidden, keras.layers.Dense(10, "softmax"))
    assert "verdict: vanishing activations: their variance falls" in diagnosed(capsys, path)


@pytest.mark.parametrize(
    "units, activation, loss, expected",
    [
        (10, "softmax", "categorical_crossentropy", np.log(10)),
        (10, None, keras.losses.SparseCategoricalCrossentropy(from_logits=True), np.log(10)),
        (10, "softmax", "mse", 0.09),
        (2, "softmax", "sparse_categorical_crossentropy", np.log(2)),
        (1, "sigmoid", "binary_crossentropy", (np.log1p(np.exp(3)) + np.log1p(np.exp(-3))) / 2),
        (10, "softmax", None, np.log(10)),
        (10, None, None, np.log(10)),
        (1, "sigmoid", None, (np.log1p(np.exp(3)) + np.log1p(np.exp(-3))) / 2),
        (1, None, None, (np.log1p(np.exp(3)) + np.log1p(np.exp(-3))) / 2),
    ],
)
def test_labels_take_the_form_that_the_loss_wants(tmp_path, capsys, units, activation, loss, expected):
    """All scores are 3 before the activation, half of two classes is 1. Without `compile` the loss is cross-entropy."""
    output = keras.layers.Dense(units, activation, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(3))
    data = "digits" if units == 10 else blank(tmp_path, x_train=np.eye(4)[None].repeat(9, 0))
    path = saved(tmp_path / "m.keras", output, shape=(8, 8, 1) if units == 10 else (4, 4, 1), compiled=bool(loss), loss=loss)
    capsys.readouterr()
    assert main(["diagnose", path, "--data", data, "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["loss"] == pytest.approx(expected, rel=1e-3)
    assert ("saved without compile" in printed.err) == (loss is None)
    assert (json.loads(printed.out)["learning_rate"] is None) == (loss is None)


def test_a_small_data_set_is_taken_whole(tmp_path, capsys):
    data = blank(tmp_path, x_train=np.eye(4)[None].repeat(9, 0))
    path = saved(tmp_path / "m.keras", keras.layers.Dense(2, "softmax"), shape=(4, 4, 1))
    assert "verdict: healthy" in diagnosed(capsys, path, "--data", data)
    assert "--batch-size 9 must be between 1 and the 8" in refused(capsys, "diagnose", path, "--data", data, "--batch-size", 9)


def test_what_cannot_be_diagnosed_is_refused_in_one_line(trained, tmp_path, capsys):
    good = str(trained / "model.keras")
    (tmp_path / "text.keras").write_text("no model")
    (tmp_path / "cut.keras").write_bytes((trained / "model.keras").read_bytes()[:5000])
    dense = keras.layers.Dense
    a = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten()(a)
    two = keras.Model(a, [dense(10)(flat), dense(10)(flat)])
    two.compile("sgd", "mse")
    two.save(tmp_path / "two.keras")
    pair = keras.Model([a, keras.Input((3,))], dense(10)(flat))
    pair.compile("sgd", "mse")
    pair.save(tmp_path / "pair.keras")
    four = blank(tmp_path, x_train=np.eye(4)[None].repeat(9, 0))
    for arguments, message in (
        ([tmp_path / "nowhere.keras"], "nowhere.keras: no such file"),
        ([tmp_path], "no such file; wanted is a .keras file"),
        ([tmp_path / "text.keras"], "text.keras: cannot be loaded ("),
        ([tmp_path / "cut.keras"], "cut.keras: cannot be loaded ("),
        ([good, "--data", "nowhere"], "nowhere: neither a data set"),
        ([good, "--data", four], "it takes (8, 8, 1), the images are (4, 4, 1)"),
        ([saved(tmp_path / "flat.keras", dense(10), shape=(64,))], "it takes (64,), the images are (8, 8, 1)"),
        ([saved(tmp_path / "few.keras", dense(7, "softmax"))], "it tells 7 classes apart, the data has 10"),
        ([saved(tmp_path / "grid.keras", keras.layers.Reshape((8, 8)))], "it gives (8, 8) for an image, wanted are scores"),
        ([tmp_path / "two.keras"], "it gives [(10,), (10,)] for an image"),
        ([tmp_path / "pair.keras"], "it takes [(None, 8, 8, 1), (None, 3)]"),
        ([saved(tmp_path / "no.keras", dense(10), loss=None)], "No loss to compute"),
        ([good, "--batch-size", 0], "--batch-size 0 must be between 1 and the 1257"),
        ([good, "--batch-size", 1258], "--batch-size 1258"),
        ([good, "--plot", tmp_path / "a.text"], "a.text: a plot can be written as"),
        ([good, "--plot", tmp_path / "no" / "a.png"], "a.png: cannot be written"),
        ([good, "--log", tmp_path / "text.keras"], "text.keras is a file"),
        ([good, "--log", "/proc/logs"], "cannot be written, /proc"),
    ):
        before = sorted(path.name for path in tmp_path.iterdir())
        assert message in refused(capsys, "diagnose", *arguments)
        assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_without_matplotlib_it_says_what_to_type(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert 'pip install "tfnn[diagnose]"' in refused(capsys, "diagnose", trained / "model.keras", "--plot", tmp_path / "a.png")


def test_an_error_of_keras_is_cut_to_the_line_that_tells(tmp_path, capsys):
    """A model that does not tell its input shape is run, and Keras's error has ten lines."""
    model = Unshaped()
    model.compile("sgd", "mse")
    model(np.zeros((2, 9), "float32"))
    model.save(tmp_path / "m.keras")
    line = refused(capsys, "diagnose", tmp_path / "m.keras")
    assert "m.keras does not go with --data digits: " in line and "Exception encountered" not in line and len(line) < 400


@keras.saving.register_keras_serializable("tests")
class Unshaped(keras.Model):
    def build(self, shape):
        self.dense = keras.layers.Dense(3)
        self.dense.build((None, 9))

    def call(self, x):
        return self.dense(x)


def test_standard_error_holds_the_one_line_and_nothing_else(tmp_path):
    command = [sys.executable, "-m", "tfnn", "diagnose", str(tmp_path / "nowhere.keras")]
    process = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert process.returncode == 2 and process.stdout == ""
    assert process.stderr.startswith("tfnn: error: ") and process.stderr.count("\n") == 1


def test_help(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["diagnose", "--help"])
    text = capsys.readouterr().out
    assert exit_.value.code == 0 and "usage: tfnn diagnose" in text and max(map(len, text.splitlines())) <= 120
