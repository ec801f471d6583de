"""The command line as a user meets it: what it prints, what it writes, what it refuses."""

import argparse
import json
import os
import pathlib
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
from tests.cli.conftest import FAST
from tfnn.cli import main, reading
from tfnn.diagnose import interval


def test_train_tells_what_it_runs_on_and_what_came_of_it(run):
    folder, output = run
    for line in (
        "data    digits: 1257 train, 180 validation, 360 test; images 8×8×1, 10 classes",
        "batch   32, 64 from epoch 2, 128 from epoch 3",
        "device  CPU, TensorFlow's choice of threads",
        "tfnn.fit on CPU, float32, batch 32 = 32 × 1, XLA off (120 updates are sure, and compiling pays from 4000 on)",
        "Epoch 3/3",
        f" --logdir {folder}/logs",
        f" predict {folder}/bundle/1 {folder}/examples/*.png",
    ):
        assert line in output
    assert "70 updates, 1 trace, batch sizes 32, 64, 128" in output  # 40 + 20 + 10


def test_result_and_configuration_are_written(run):
    result = json.loads((run[0] / "result.json").read_text())
    assert result["updates"] == 70 and result["traces"] == 1 and result["batch_sizes"] == [32, 64, 128]
    low, high = result["test_accuracy_interval"]
    assert 0.7 < low < result["test_accuracy"] < high < 1
    assert result["bundle"] == str(run[0] / "bundle" / "1") and result["train_seconds"] > 0
    assert len(result["history"]["val_loss"]) == 3 and result["interrupted"] is False
    config = json.loads((run[0] / "config.json").read_text())
    assert config["model"] == "mlp" and config["grow_batch"] == {"1": 64, "2": 128} and config["seed"] == 1
    assert list((run[0] / "logs" / "train").glob("events*"))


def test_the_printed_predict_command_works(run):
    (command,) = [line for line in run[1].splitlines() if " predict " in line]
    quiet = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}  # the command's own
    process = subprocess.run(command, shell=True, check=True, capture_output=True, text=True, env=quiet)
    lines = process.stdout.splitlines()
    assert len(lines) == 10 and process.stderr == ""  # nothing of TensorFlow's
    right = sum(line.split()[1] == pathlib.Path(line.split()[0]).stem for line in lines)
    assert right >= 8 and all(line.endswith("%") for line in lines)


def test_predict_takes_any_form_of_image(run, tmp_path, capsys, digits):
    """A seven as it is, enlarged, in colour, as JPEG, dark on light, and dark on transparent: the same class."""
    seven = digits.test.x[digits.test.y == 7][0].repeat(12, 0).repeat(12, 1) * 15
    alpha = np.concatenate([np.zeros((96, 96, 3), np.uint8), seven], -1)
    forms = {
        "grey.png": tf.io.encode_png(seven),
        "colour.png": tf.io.encode_png(seven.repeat(3, -1)),
        "photograph.jpg": tf.io.encode_jpeg(
            np.pad(230 - (seven * 0.8).astype(np.uint8), ((30, 50), (20, 90), (0, 0)), constant_values=230)
        ),
        "transparent.png": tf.io.encode_png(alpha),
    }
    for name, encoded in forms.items():
        (tmp_path / name).write_bytes(encoded.numpy())
    assert main(["predict", str(run[0] / "bundle" / "1"), *(str(tmp_path / name) for name in forms), "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["7"] * 4
    assert all(len(line.split()) == 5 for line in lines)


def test_export_takes_the_next_number_and_a_model_goes_on_from_a_file(run, tmp_path):
    options = ["--data", "digits", *FAST, "--model", str(run[0] / "model.keras"), "--epochs", "2", "--grow-batch", "none"]
    assert main(["train", *options, "--out", str(tmp_path / "run"), "--export", str(run[0] / "bundle")]) == 0
    assert (run[0] / "bundle" / "2" / "saved_model.pb").exists()
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["bundle"].endswith("bundle/2") and result["history"]["loss"][0] < 0.8


def blank(tmp_path, name="set.npz", **changes):
    arrays = dict(x_train=np.zeros((9, 4, 4)), y_train=np.arange(9) % 2, x_test=np.zeros((4, 4, 4)), y_test=np.arange(4) % 2)
    np.savez(tmp_path / name, **(arrays | changes))
    return str(tmp_path / name)


def refused(capsys, *arguments):
    """The one line that a refused command prints, after checking that it is one, with exit code 2."""
    assert main(list(map(str, arguments))) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("tfnn: error: ") and printed.err.count("\n") == 1
    return printed.err


def test_images_stay_in_their_files_where_they_are_many(tmp_path, monkeypatch):
    for index in range(20):
        file = tmp_path / "ab"[index % 2] / f"{index}.png"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(tf.io.encode_png(np.full((4, 4, 1), index, np.uint8)).numpy())
    options = argparse.Namespace(data=str(tmp_path), skip_bad_images=False)
    assert isinstance(reading.read_data(options).train.x, np.ndarray)
    monkeypatch.setattr(reading, "IN_MEMORY", 20 * 16 - 1)
    assert isinstance(reading.read_data(options).train.x, tfnn.data.ImageFiles)


def test_bad_data_is_refused_in_one_line(tmp_path, capsys):
    out = ["--out", tmp_path / "run"]
    (tmp_path / "empty").mkdir()
    (tmp_path / "one" / "cat").mkdir(parents=True)
    for index in range(3):
        (tmp_path / "one" / "cat" / f"{index}.png").write_bytes(tf.io.encode_png(np.zeros((4, 4, 1), np.uint8)).numpy())
    corrupt = tmp_path / "corrupt"
    for label in "ab":
        (corrupt / label).mkdir(parents=True)
        for index in range(5):
            (corrupt / label / f"{index}.png").write_bytes(tf.io.encode_png(np.zeros((4, 4, 1), np.uint8)).numpy())
    (corrupt / "b" / "3.png").write_bytes(b"no image")
    nan = np.zeros((9, 4, 4))
    nan[3] = np.nan
    for data, message in (
        (tmp_path / "nowhere", "nowhere: neither a data set"),
        (tmp_path / "empty", "empty: no images"),
        (tmp_path / "one", "at least 2 classes, found 1: cat"),
        (corrupt, "b/3.png: not a readable image"),
        (blank(tmp_path, y_train=np.zeros(8, int)), "9 images but 8 labels"),
        (blank(tmp_path, "nan.npz", x_train=nan), "hold NaN or infinity, the first is number 3"),
        (
            blank(
                tmp_path,
                "four.npz",
                x_train=np.eye(4)[None, ..., None].repeat(9, 0).repeat(4, -1),
                x_test=np.zeros((4, 4, 4, 4)),
            ),
            "4 channels",
        ),
    ):
        assert message in refused(capsys, "train", "--data", data, *out)
    assert not (tmp_path / "run").exists()


def test_skip_bad_images_goes_on(tmp_path, capsys):
    random = np.random.RandomState(0)
    for label in "ab":
        (tmp_path / "set" / label).mkdir(parents=True)
        for index in range(10):
            image = random.randint(0, 100, (8, 8, 1)) + 150 * (label == "b")
            (tmp_path / "set" / label / f"{index}.png").write_bytes(tf.io.encode_png(image.astype(np.uint8)).numpy())
    (tmp_path / "set" / "b" / "3.png").write_bytes(b"no image")
    options = ["--skip-bad-images", "--model", "mlp", "--batch-size", "4", "--grow-batch", "none", "--epochs", "3"]
    assert main(["train", "--data", str(tmp_path / "set"), *options, "--out", str(tmp_path / "run")]) == 0
    assert "tfnn: skipped" in capsys.readouterr().err
    assert json.loads((tmp_path / "run" / "result.json").read_text())["test_accuracy"] == 1


def test_bad_options_are_refused_in_one_line(tmp_path, capsys):
    out = ["--out", tmp_path / "run"]
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "result.json").write_text("{}")
    (tmp_path / "file").write_text("")
    for options, message in (
        (["--batch-size", 1258], "--batch-size 1258 must be between 1 and the 1257 training examples"),
        (["--grow-batch", "3:16"], "--grow-batch 3:16: the size must be between --batch-size 32"),
        (["--grow-batch", "3:2000"], "and the 1257"),
        (["--epochs", 0], "--epochs 0"),
        (["--epochs", 2, "--warmup", 2], "--warmup 2 must be at least 0 and below --epochs 2"),
        (["--learning-rate", 0], "--learning-rate 0"),
        (["--l2", -1], "--l2 -1"),
        (["--learning-rate", "nan"], "--learning-rate nan"),
        (["--grow-batch", "99:64"], "--grow-batch 99:64: a run of 30 epochs takes 0 to 29"),
        (["--model", "mlp", "--epochs", 2, "--learning-rate", 1e30], "not finite at epoch 0, update 2"),
        (["--seed", -1], "--seed -1"),
        (["--model", "transformer"], "--model transformer: neither resnet nor mlp nor a .keras file"),
        (["--depth", 9], "depth=9 must be 6n + 2"),
        (["--strategy", "tpu"], "sees no TPU"),
    ):
        assert message in refused(capsys, "train", *options, *out)
    assert not (tmp_path / "run").exists()
    assert "is not empty" in refused(capsys, "train", "--out", tmp_path / "used")
    assert "file is a file" in refused(capsys, "train", "--out", tmp_path / "file" / "run")
    assert "file is a file" in refused(capsys, "train", *out, "--export", tmp_path / "file" / "m")
    assert not (tmp_path / "run").exists()


def test_output_that_cannot_be_written_is_refused_before_training(tmp_path, capsys):
    assert "cannot be written, /proc" in refused(capsys, "train", "--out", "/proc/run")
    assert "cannot be written, /proc" in refused(capsys, "train", "--out", tmp_path / "run", "--export", "/proc/m")
    assert not (tmp_path / "run").exists()


def test_damaged_files_are_refused_in_one_line(run, tmp_path, capsys):
    (tmp_path / "text.keras").write_text("no model")
    logits = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
    logits.save(tmp_path / "logits.keras")
    out = ["--out", tmp_path / "run"]
    assert "text.keras: cannot be loaded" in refused(capsys, "train", "--model", tmp_path / "text.keras", *out)
    assert "must end in a softmax" in refused(capsys, "train", "--model", tmp_path / "logits.keras", *out)
    shutil.copytree(run[0] / "bundle" / "1", tmp_path / "cut")
    (weights,) = (tmp_path / "cut" / "variables").glob("*.data*")
    weights.write_bytes(weights.read_bytes()[:100])
    image = next((run[0] / "examples").iterdir())
    assert "cut: damaged, variables/variables.data-00000-of-00001 is not as it was written" in refused(
        capsys, "predict", tmp_path / "cut", image
    )


def test_standard_error_holds_the_one_line_and_nothing_else():
    process = subprocess.run([sys.executable, "-m", "tfnn", "train", "--data", "nowhere"], capture_output=True, text=True)
    assert process.returncode == 2 and process.stdout == ""
    assert process.stderr.startswith("tfnn: error: nowhere: neither") and process.stderr.count("\n") == 1


def test_ctrl_c_during_the_import_leaves_no_traceback():
    process = subprocess.Popen(
        [sys.executable, "-m", "tfnn", "train"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(0.8)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT and errors == output == ""


def test_bad_images_and_bundles_are_refused_in_one_line(run, tmp_path, capsys):
    bundle, image = run[0] / "bundle", next((run[0] / "examples").iterdir())
    (tmp_path / "text.png").write_text("text")
    assert "nowhere: no SavedModel here" in refused(capsys, "predict", tmp_path / "nowhere", image)
    assert "missing.png: No such file" in refused(capsys, "predict", bundle, tmp_path / "missing.png")
    assert "text.png: not a readable PNG" in refused(capsys, "predict", bundle, tmp_path / "text.png")
    assert "text.png: not a readable PNG" in refused(capsys, "predict", bundle, tmp_path)
    (tmp_path / "empty").mkdir()
    assert "empty: no images here" in refused(capsys, "predict", bundle, tmp_path / "empty")
    assert "--top 0" in refused(capsys, "predict", bundle, image, "--top", 0)


def test_images_of_a_folder_that_are_not_read_are_told(run, tmp_path, capsys):
    image = next((run[0] / "examples").iterdir())
    shutil.copy(image, tmp_path / "a.png")
    (tmp_path / "b.tiff").write_text("")
    (tmp_path / ".trash").mkdir()
    shutil.copy(image, tmp_path / ".trash" / "c.png")
    assert main(["predict", str(run[0] / "bundle"), str(tmp_path)]) == 0
    output, errors = capsys.readouterr()
    assert output.startswith(f"{tmp_path / 'a.png'}  ") and output.count("\n") == 1
    told = f"{tmp_path}: passed over 1 image of formats that are not read (.tiff): b.tiff; convert them to PNG or JPEG"
    assert errors == f"tfnn: {told}\n"


@pytest.mark.parametrize(
    "arguments", [[], ["fly"], ["train", "--epochs", "many"], ["train", "--grow-batch", "64"], ["predict"]]
)
def test_usage_errors_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "usage: tfnn" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["train"], ["transfer"], ["predict"], ["export"], ["inspect"], ["serve"]])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([*command, "--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert "usage: tfnn" in text and max(map(len, text.splitlines())) <= 120


def test_ctrl_c_ends_within_two_seconds_and_keeps_what_was_reached(tmp_path):
    folders = ["--out", str(tmp_path / "run"), "--export", str(tmp_path / "m")]
    command = [sys.executable, "-m", "tfnn", "train", "--epochs", "5000", *folders]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("Epoch 4/"):
            break
    time.sleep(0.3)
    began = time.perf_counter()
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert time.perf_counter() - began < 6  # 1.5 s were measured; thrice the promised 2 s, for a machine that is shared
    assert process.returncode == 130 and "Traceback" not in errors
    assert "interrupted" in output
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["interrupted"] and result["updates"] > 0 and len(result["batch_sizes"]) >= 3
    assert (tmp_path / "run" / "model.keras").exists() and not (tmp_path / "m").exists()


def test_interval_is_wilson_s():
    """Wilson (1927); values from the closed form worked by hand for 9 of 10: (0.5958, 0.9821)."""
    np.testing.assert_allclose(interval(0.9, 10), (0.5958, 0.9821), atol=1e-4)
    assert interval(1.0, 360)[1] == 1.0 and interval(1.0, 360)[0] > 0.98


@pytest.mark.parametrize("options", [["--epochs", "1"], ["--epochs", "2", "--batch-size", "700"]])
def test_defaults_never_make_a_command_fail(options, tmp_path):
    assert main(["train", "--model", "mlp", *options, "--out", str(tmp_path / "run")]) == 0
