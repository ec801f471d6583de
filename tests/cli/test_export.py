"""`tfnn export`, `tfnn inspect` and `tfnn predict` on what they write."""

import csv
import io
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.cli.test_cli import refused
from tfnn.cli import main

LABELS = "ant", "bee", "cat"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with a model that tfnn did not train, the names of its classes, and pictures."""
    folder = tmp_path_factory.mktemp("export")
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((6, 5, 3)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])
    model.save(folder / "animals.keras")
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n")
    (folder / "pictures").mkdir()
    for index in range(4):
        image = np.random.RandomState(index).randint(0, 256, (6, 5, 3)).astype(np.uint8)
        (folder / "pictures" / f"{index}.png").write_bytes(tf.io.encode_png(image).numpy())
    return folder, model


@pytest.fixture(scope="module")
def bundle(files):
    folder, _ = files
    options = ["--labels", folder / "labels.txt", "--scale", "1/127.5", "--offset", -1, "--embedding", "--top", 2]
    assert main(list(map(str, ["export", folder / "animals.keras", folder / "served", *options]))) == 0
    return folder / "served" / "1"


def table(capsys, *arguments):
    code = main(["predict", *map(str, arguments), "--csv"])
    return code, list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def test_a_model_file_is_exported_with_labels_and_scale(files, bundle, capsys):
    folder, model = files
    code, rows = table(capsys, bundle, folder / "pictures")
    images = np.stack([tf.io.decode_png((folder / "pictures" / f"{i}.png").read_bytes()).numpy() for i in range(4)])
    expected = model.predict(images / 127.5 - 1, verbose=0)
    assert code == 0 and [row["file"] for row in rows] == [str(folder / "pictures" / f"{i}.png") for i in range(4)]
    assert [row["class"] for row in rows] == [LABELS[i] for i in expected.argmax(-1)]
    found = [[float(row[f"{place}:{name}"]) for place, name in enumerate(LABELS)] for row in rows]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_every_signature_of_images_is_asked_with_image_files(files, bundle, capsys):
    folder, model = files
    code, rows = table(capsys, bundle, folder / "pictures", "--signature", "serving_default")
    same = table(capsys, bundle, folder / "pictures")[1]
    assert code == 0 and len(rows) == len(same)
    for row, other in zip(rows, same):
        assert [row[name] for name in ("file", "ok", "class")] == [other[name] for name in ("file", "ok", "class")]
        numbers = [float(one[name]) for one in (row, other) for name in ("probability", "0:ant", "1:bee", "2:cat")]
        np.testing.assert_allclose(numbers[:4], numbers[4:], rtol=1e-5)
    code, rows = table(capsys, bundle, folder / "pictures" / "0.png", "--signature", "embedding")
    image = tf.io.decode_png((folder / "pictures" / "0.png").read_bytes()).numpy()
    found = [float(rows[0][f"embedding_{place}"]) for place in range(90)]
    np.testing.assert_allclose(found, image.ravel() / 127.5 - 1, atol=1e-5)
    np.savez(folder / "arrays.npz", image=np.stack([image, image]) / 127.5 - 1)
    code, rows = table(capsys, bundle, folder / "arrays.npz", "--signature", "raw")
    assert [row["file"] for row in rows] == [f"{folder / 'arrays.npz'}:{row}" for row in range(2)]
    np.testing.assert_allclose(float(rows[1]["2:cat"]), model.predict(image[None] / 127.5 - 1, verbose=0)[0, 2], rtol=1e-4)


def test_images_that_cannot_be_read_have_a_line_and_do_not_stop_the_others(files, bundle, capsys, tmp_path):
    shutil.copytree(files[0] / "pictures", tmp_path / "some")
    (tmp_path / "some" / "0.png").write_bytes(b"text")
    for signature in "image_bytes", "serving_default":
        code, rows = table(capsys, bundle, tmp_path / "some", "--signature", signature)
        assert code == 2 and [row["ok"] for row in rows] == ["0", "1", "1", "1"]
        assert rows[0]["class"] == "" and rows[1]["class"] in LABELS
    assert main(["predict", str(bundle), str(tmp_path / "some")]) == 2
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 3 and "0.png: not a readable PNG" in printed.err


def test_files_of_arrays_that_cannot_be_taken_are_told_in_one_line(bundle, capsys, tmp_path):
    (tmp_path / "empty.npz").touch()
    np.save(tmp_path / "one.npy", np.zeros((1, 6, 5, 3)))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    np.savez(tmp_path / "cut.npz", image=np.zeros((1, 6, 5, 3)))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:-30])
    for file in (tmp_path / f"{name}.npz" for name in ("empty", "one", "cut")):
        assert f"{file}: cannot be read" in refused(capsys, "predict", bundle, file, "--signature", "raw")
    np.savez(tmp_path / "wide.npz", image=np.zeros((1, 6, 5, 9), np.uint8))
    told = refused(capsys, "predict", bundle, tmp_path / "wide.npz", "--signature", "serving_default")
    assert "serving_default cannot take these inputs (" in told
    np.savez(tmp_path / "none.npz", image=np.zeros((0, 6, 5, 3)))
    assert table(capsys, bundle, tmp_path / "none.npz", "--signature", "raw") == (0, [])


def test_inspect_prints_what_there_is(files, bundle, capsys):
    assert main(["inspect", str(bundle.parent)]) == 0
    text = capsys.readouterr().out
    for part in (
        f"{bundle}: 6 files",
        "model    served, 273 parameters",
        "input   image_bytes  string (any)",
        "output  classes  string (any × 2)",
        "labels   3: ant, bee, cat",
        "embedding  float32 (any × 90)",
        f"keras {keras.__version__}",
    ):
        assert part in text, text
    assert main(["inspect", str(bundle), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["arguments"]["preprocess"]["config"]["offset"] == -1


def test_a_flipped_byte_is_refused_by_inspect_and_predict(files, bundle, capsys, tmp_path):
    shutil.copytree(bundle, tmp_path / "1")
    for name in "saved_model.pb", "bundle.json":
        content = bytearray((tmp_path / "1" / name).read_bytes())
        content[len(content) // 2] ^= 1
        (tmp_path / "1" / name).write_bytes(content)
        assert f"1: damaged, {name} " in refused(capsys, "inspect", tmp_path / "1")
        assert f"damaged, {name}" in refused(capsys, "predict", tmp_path, files[0] / "pictures")
    assert "no SavedModel here" in refused(capsys, "inspect", tmp_path / "nowhere")


def test_a_run_is_exported_as_training_exported_it(run, capsys, tmp_path):
    folder, _ = run
    assert main(["export", str(folder), str(tmp_path / "digits")]) == 0
    assert capsys.readouterr().out == f"exported model {tmp_path / 'digits' / '1'}\n"
    examples = folder / "examples"
    first, second = (table(capsys, path, examples)[1] for path in (folder / "bundle" / "1", tmp_path / "digits"))
    assert first and first == second
    about = json.loads((tmp_path / "digits" / "1" / "bundle.json").read_text())
    result = json.loads((folder / "result.json").read_text())
    assert about["metrics"]["test_accuracy"] == result["test_accuracy"]
    assert about["arguments"]["prepare"] == "tfnn.data.ink.light_ink"
    trained = json.loads((folder / "bundle" / "1" / "bundle.json").read_text())
    assert trained["metrics"] == about["metrics"] and trained["signatures"] == about["signatures"]


def test_mistakes_are_told_in_one_line(run, files, bundle, capsys, tmp_path):
    folder, _ = files
    model, out = folder / "animals.keras", tmp_path / "out"
    (tmp_path / "text.keras").write_text("no model")
    (tmp_path / "two.txt").write_text("a\nb\n")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe")
    pictures = folder / "pictures"
    for arguments, message in (
        (["export", tmp_path / "nowhere.keras", out], "nowhere.keras: no such file; wanted is a .keras file"),
        (["export", tmp_path / "text.keras", out], "text.keras: cannot be loaded"),
        (["export", tmp_path, out], "no finished run of tfnn train"),
        (["export", run[0], out, "--scale", 2], "--scale is for a .keras file"),
        (["export", model, out, "--labels", tmp_path / "two.txt"], "2 labels for a model of 3 classes"),
        (["export", model, out, "--labels", tmp_path / "bytes.txt"], "bytes.txt: is not a text file"),
        (["export", model, out, "--signatures", "serve"], "'serve' is none of"),
        (["export", model, out, "--version", 0], "version=0"),
        (["export", model, bundle.parent, "--version", 1], "1 exists"),
        (["export", model, out, "--size", 9, 9], "does not fit"),
        (["predict", bundle, pictures, "--signature", "serve"], "--signature serve: "),
        (["predict", bundle, pictures / "0.png", "--signature", "raw"], "raw takes image: an array of each, in a .npz file"),
        (["predict", bundle, tmp_path / "two.npz", "--signature", "raw"], "two.npz: cannot be read"),
    ):
        assert message in refused(capsys, *arguments), message
    assert not out.exists()
