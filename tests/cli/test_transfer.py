"""`tfnn transfer`: one whole run on images of digits, with a network of a moment in the place of a large one."""

import argparse
import contextlib
import csv
import io
import json
import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.cli.test_cli import blank, refused
from tfnn.cli import main, reading, transfer_recipe
from tfnn.cli.mistakes import worst_first
from tfnn.cli.unfreezing import plan_of, words
from tfnn.data.pixels import decode, with_channels
from tfnn.serving import Bundle

L = keras.layers
NAMES = "eight", "five", "three"
COUNTS = {"eight": 20, "five": 40, "three": 40}
BASE = ["--backbone", "MobileNetV3Small", "--batch-size", "16"]


def small(include_top=False, weights=None, input_shape=None, pooling="avg", filters=8):
    """Five stages, as MobileNetV3Small has, that are traced in a blink."""
    x = inputs = keras.Input(input_shape)
    x = L.Rescaling(1 / 127.5, -1)(x)
    for stage in range(1, 6):
        x = L.Conv2D(filters * (1 + stage // 2), 3, 2, padding="same", use_bias=False, name=f"conv{stage}")(x)
        x = L.BatchNormalization(momentum=0.8, name=f"bn{stage}")(x) if stage % 2 else x
        x = L.ReLU(name=f"relu{stage}")(x)
    return keras.Model(inputs, L.GlobalAveragePooling2D()(x), name="small")


@pytest.fixture(scope="module", autouse=True)
def network():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.applications, "MobileNetV3Small", small)
        yield


@pytest.fixture(scope="module")
def images(tmp_path_factory, digits):
    """A folder of grey PNG, 32×32, three classes of which one is rare; every eighth image is another digit, so that there are
    mistakes.
    """
    folder = tmp_path_factory.mktemp("images") / "digits"
    for label, name in ((8, "eight"), (5, "five"), (3, "three")):
        (folder / name).mkdir(parents=True)
        mine, others = (digits.train.x[digits.train.y == one] for one in (label, label - 1))
        for index in range(COUNTS[name]):
            image = (others if index % 8 == 0 else mine)[index]
            png = tf.io.encode_png(image.repeat(4, 0).repeat(4, 1) * 15)
            (folder / name / f"{index}.png").write_bytes(png.numpy())
    return folder


def ran(*arguments):
    """(exit code, what was printed)."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        code = main(["transfer", *map(str, arguments)])
    return code, output.getvalue()


def options(images, folder):
    plan = ["--weights", "none", "--unfreeze", "2:all", "--epochs", 8, "--learning-rate", 0.01, "--image-size", 32]
    return [
        "--data",
        images,
        *BASE,
        *plan,
        "--class-weight",
        "balanced",
        "--cache",
        folder.parent / "features",
        "--out",
        folder,
    ]


@pytest.fixture(scope="module")
def run(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("transfer") / "run"
    code, output = ran(*options(images, folder))
    assert code == 0
    return folder, output


def result_of(folder):
    return json.loads((folder / "result.json").read_text())


def test_it_tells_what_is_trained_when_and_what_came_of_it(run):
    folder, output = run
    for line in (
        "data    digits: 70 train, 10 validation, 20 test; images 32×32×3",
        "classes 3 classes of 14 (eight) to 28 (five) training images, 1 : 2, weighted alike",
        "trained from epoch 1 the head alone, from epoch 3 C1 C2 C3 C4 C5 and the head",
        "features of 70 images computed",
        "Epoch 8/8",
        "validation accuracy ",
        "on 20 images\nclass  images  precision  recall\n",
        f"confusion matrix {folder}/confusion.png",
        "40 updates, 2 traces",
        f" --logdir {folder}/logs",
        f" predict {folder}/bundle/1 {folder}/examples/*.png",
    ):
        assert line in output
    assert list((folder.parent / "features").iterdir())


def test_the_result_holds_each_class_and_its_sums(run):
    result = result_of(run[0])
    assert result["traces"] == 2 and result["interrupted"] is False and len(result["history"]["val_accuracy"]) == 8
    low, high = result["test_accuracy_interval"]
    assert 0.4 < low < result["test_accuracy"] < high  # of three classes, the largest 0.4 of the images
    assert {name: one["images"] for name, one in result["classes"].items()} == {"eight": 4, "five": 8, "three": 8}
    found = sum(one["images"] * one["recall"] for one in result["classes"].values())
    assert found == pytest.approx(20 * result["test_accuracy"], abs=1e-4)
    assert result["test_mistakes"] == round(20 * (1 - result["test_accuracy"]))
    bundle = Bundle(result["bundle"])
    assert bundle.about["metrics"]["classes"] == result["classes"] and tuple(bundle.labels) == NAMES


def test_the_bundle_answers_files_as_the_model_does(run, images):
    model = keras.saving.load_model(run[0] / "model.keras", compile=False)
    files = [next((images / name).iterdir()) for name in NAMES]
    encoded = [file.read_bytes() for file in files]
    expected = model(tf.stack([with_channels(decode(one), 3) for one in encoded]), training=False)
    answer = Bundle(run[0] / "bundle").ask("image_bytes", image_bytes=np.array(encoded, object))
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
    assert np.ptp(answer["probabilities"], axis=0).max() > 0.1  # it looks at the images


def test_mistakes_are_listed_and_shown_the_worst_first(run, images):
    with (run[0] / "mistakes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == result_of(run[0])["test_mistakes"] > 0
    share = [float(row["of the true class"]) for row in rows]
    assert share == sorted(share) and max(share) < 0.5
    assert all(pathlib.Path(row["file"]).parent == images / row["class"] and row["taken for"] != row["class"] for row in rows)
    shown = tf.io.decode_png((run[0] / "mistakes.png").read_bytes()).numpy()
    assert shown.shape == (8 + 174 * -(-len(rows) // 6), 8 + 136 * min(6, len(rows)), 3)
    first = decode(pathlib.Path(rows[0]["file"]).read_bytes()).numpy().repeat(4, 0).repeat(4, 1)
    np.testing.assert_array_equal(shown[8:136, 8:136], first.repeat(3, -1))
    assert tf.io.decode_png((run[0] / "confusion.png").read_bytes()).shape[-1] == 3


def test_an_interrupted_run_goes_on_to_the_same_bits(run, images, monkeypatch):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 3:  # in the second stage, before that epoch is saved
                raise KeyboardInterrupt

    folder, train_stages = run[0].parent / "again", transfer_recipe.train_stages
    stopped = lambda model, data, options, callbacks, **how: train_stages(
        model, data, options, [Interrupt(), *callbacks], **how
    )
    monkeypatch.setattr(transfer_recipe, "train_stages", stopped)
    code, output = ran(*options(images, folder))
    assert code == 130 and "interrupted" in output and f"transfer --resume {folder}" in output
    assert "features of 70 images kept" in output and result_of(folder)["bundle"] is None
    config = json.loads((folder / "config.json").read_text())
    assert config.pop("cache_size") == 1000  # of a run before there was this option
    (folder / "config.json").write_text(json.dumps(config))
    monkeypatch.undo()
    keras.applications.MobileNetV3Small = small
    code, output = ran("--resume", folder, "--epochs", 8)
    assert code == 0 and "Epoch 3/8" not in output and "Epoch 4/8" in output
    models = [keras.saving.load_model(path / "model.keras").get_weights() for path in (folder, run[0])]
    assert all(np.array_equal(a, b) for a, b in zip(*models))
    results = [result_of(path) for path in (folder, run[0])]
    for result in results:
        for name in "train_seconds", "traces", "bundle":
            del result[name]
    assert results[0] == results[1]
    code, output = ran("--resume", folder)
    assert code == 0 and f"the run in {folder} is finished" in output and "recall" in output


def test_a_backbone_of_an_earlier_run_is_taken_over_and_stays_frozen_with_images_in_files(run, images, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "IN_MEMORY", 0)
    what = ["--weights", run[0], "--unfreeze", 0, "--epochs", 2, "--image-size", 32, "--rotation", 0.02, "--copies", 2]
    code, output = ran("--data", images, *BASE, *what, "--out", tmp_path / "run")
    assert code == 0 and "features of 2 augmented copies of 70 images computed" in output
    before, after = (keras.saving.load_model(path / "model.keras", compile=False) for path in (run[0], tmp_path / "run"))
    for stage in "C1", "C2", "C3", "C4", "C5":
        pairs = zip(before.get_layer(stage).get_weights(), after.get_layer(stage).get_weights(), strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs)
    assert not np.array_equal(*(model.get_layer("head").get_weights()[0] for model in (before, after)))


def test_arrays_become_colour_and_their_bundle_takes_photographs_as_theirs_does(tmp_path):
    what = ["--weights", "none", "--epochs", 1, "--cache", "none", "--batch-size", 256]
    code, output = ran("--data", "digits", *BASE, *what, "--out", tmp_path / "run")
    assert code == 0 and "images 32×32×3" in output and "from epoch 1 C1 C2 C3 C4 C5 and the head" in output
    image = tfnn.data.digits().test.x[:1].repeat(12, 1).repeat(12, 2) * 15
    light, dark = (Bundle(tmp_path / "run" / "bundle").ask("serving_default", image=one) for one in (image, 255 - image))
    np.testing.assert_allclose(light["probabilities"], dark["probabilities"], atol=0.1)


def test_data_that_cannot_be_trained_on_is_refused_in_one_line(images, tmp_path, capsys):
    out = [*BASE, "--weights", "none", "--image-size", 32, "--out", tmp_path / "run"]
    (tmp_path / "labels.txt").write_text("five\neight\n")
    (tmp_path / "more.txt").write_text("five\neight\nthree\nseven\n")
    copy = lambda name: shutil.copytree(images, tmp_path / name, dirs_exist_ok=True)
    (copy("empty") / "six").mkdir()
    (copy("bad") / "five" / "0.png").write_text("no image")
    (tmp_path / "bad" / "three" / "1.png").write_text("")
    (copy("case") / "five").rename(tmp_path / "case" / "Three")
    (tmp_path / "one").mkdir()
    shutil.copytree(images / "five", tmp_path / "one" / "five")
    for data, message in (
        ([tmp_path / "nowhere"], "nowhere: neither a data set"),
        ([tmp_path / "one"], "one: a classifier needs at least 2 classes, found 1: five"),
        ([tmp_path / "empty"], "empty: six: 0 different images; a class needs at least 3"),
        ([tmp_path / "bad"], "not readable images; mend or remove 2 of 100 files, or pass --skip-bad-images"),
        ([tmp_path / "case"], "the classes 'Three' and 'three' differ in case only"),
        ([images, "--labels", tmp_path / "labels.txt"], "three are none of the classes five, eight"),
        ([images, "--labels", tmp_path / "more.txt"], "seven: 0 different images"),
        ([images, "--labels", tmp_path / "no.txt"], "no.txt: No such file"),
        (["digits", "--labels", tmp_path / "labels.txt"], "class_names are for a folder or a .csv file"),
    ):
        assert message in refused(capsys, "transfer", "--data", *data, *out)
    assert not (tmp_path / "run").exists()


def test_options_that_do_not_fit_are_refused_in_one_line(run, images, tmp_path, capsys, monkeypatch):
    out = ["--data", images, "--image-size", 32, "--out", tmp_path / "run"]
    none = [*BASE, "--weights", "none"]
    small(input_shape=(32, 32, 3), filters=6).save(tmp_path / "other.keras")
    monkeypatch.setattr(keras.utils, "get_file", lambda *_, **__: exec('raise Exception("URL fetch failure")'))
    for given, message in (
        (["--backbone", "MobileNetV5"], "no backbone 'MobileNetV5' in keras.applications; near are MobileNet"),
        ([*BASE], "put that file at "),
        ([*BASE, "--weights", tmp_path / "no.keras"], "no.keras': no such file"),
        (
            [*BASE, "--weights", tmp_path / "other.keras"],
            "no weights for small: layer conv1 wants (3, 3, 3, 8), the file holds",
        ),
        ([*none, "--image-size", 16], "--image-size 16: MobileNetV3Small takes images of at least 32 × 32"),
        ([*none, "--unfreeze", "some"], "--unfreeze some: wanted is 0 to 5, all, or epochs and stages such as 10:1,15:all"),
        ([*none, "--unfreeze", 6], "--unfreeze 6: this backbone has 5 stages, got 6"),
        ([*none, "--unfreeze", "0:0,20:1"], "--unfreeze 0:0,20:1: a run of 20 epochs takes 0 to 19 before a colon, got 20"),
        ([*none, "--unfreeze", "0:1,0:2"], "an epoch stands there twice"),
        ([*none, "--unfreeze", 1, "--epochs", 1], "--unfreeze 1: no epoch follows that of the head"),
        ([*none, "--epochs", 0], "--epochs 0 must be at least 1"),
        ([*none, "--batch-size", 71], "--batch-size 71 must be between 1 and the 70 training examples"),
        ([*none, "--stage-decay", 0], "--stage-decay 0 must be above 0"),
        ([*none, "--learning-rate", "nan"], "--learning-rate nan"),
        ([*none, "--dropout", 1], "--dropout 1 must be"),
        ([*none, "--copies", -1], "--copies -1"),
        ([*none, "--cache-size", 0], "--cache-size 0 must be at least 1"),
        ([*none, "--zoom", 2], "--zoom 2 must be between 0 and 1"),
        ([*none, "--cache", "/proc/features"], "/proc/features: cannot be written"),
    ):
        assert message in refused(capsys, "transfer", *out, *given)
        assert not (tmp_path / "run").exists()
    assert "--data is wanted" in refused(capsys, "transfer")
    assert "--demo takes --seed and --out alone: leave out --backbone, --skip-bad-images" in refused(
        capsys, "transfer", "--demo", "--seed", 2, "--skip-bad-images", "--backbone", "ResNet50", "--out", tmp_path / "run"
    )
    assert "it is a run of tfnn transfer, not of tfnn train" in refused(capsys, "train", "--resume", run[0])
    assert "--seed 2 contradicts" in refused(capsys, "transfer", "--resume", run[0], "--seed", 2)


def test_weights_that_cannot_be_had_are_refused_before_any_image_is_read(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(keras.utils, "get_file", lambda *_, **__: exec('raise Exception("URL fetch failure")'))
    (tmp_path / "data" / "cat").mkdir(parents=True)
    (tmp_path / "data" / "cat" / "0.png").write_text("no image")
    (tmp_path / "data.csv").write_text("path,label\nmissing.png,cat\n")
    for data in "data", "data.csv":
        for size in [], ["--image-size", 32]:
            assert "put that file at " in refused(capsys, "transfer", "--data", tmp_path / data, *BASE, *size)


def test_arrays_keep_their_size_from_the_smallest_of_the_network_on(tmp_path):
    blank(tmp_path, x_train=np.random.rand(9, 40, 20, 1), x_test=np.zeros((4, 40, 20, 1)))
    given = argparse.Namespace(data=str(tmp_path / "set.npz"), labels=None, skip_bad_images=False, image_size=None)
    known = tfnn.transfer.backbone("MobileNetV2")
    assert transfer_recipe.read(given, known).image_shape == (40, 32, 3)
    given.image_size = 48
    assert transfer_recipe.read(given, known).image_shape == (48, 48, 3)


def test_the_backbone_of_a_run_comes_back_from_a_bundle_that_keeps_its_variables(run, tmp_path):
    assert main(["export", str(run[0]), str(tmp_path / "bundle"), "--no-freeze", "--no-fold", "--no-warmup"]) == 0
    network = small(input_shape=(32, 32, 3))
    tfnn.transfer.load_weights(network, tmp_path / "bundle")
    trained = keras.saving.load_model(run[0] / "model.keras", compile=False)
    expected = trained.get_layer("C1").get_weights() + trained.get_layer("C5").get_weights()
    assert all(any(np.array_equal(a, b) for b in network.get_weights()) for a in expected)


def test_weights_for_arrays_are_those_of_the_size_of_their_images(monkeypatch):
    asked, known = [], tfnn.transfer.backbone("MobileNetV2")
    monkeypatch.setattr(keras.utils, "get_file", lambda name, *_, **__: asked.append(name))
    options = argparse.Namespace(weights="imagenet", data="digits", image_size=None)
    transfer_recipe.find_weights(options, known)
    assert asked == [], "arrays tell their size when they are read"
    options.image_size = 96
    transfer_recipe.find_weights(options, known)
    assert asked == [known.files[96][0]]


@pytest.mark.parametrize(
    ("text", "plan"),
    [("0", {0: 0}), ("2", {0: 0, 5: 2}), ("all", {0: 0, 5: "all"}), ("6:all,0:1", {0: 1, 6: "all"}), ("3:2", {0: 0, 3: 2})],
)
def test_a_number_of_stages_waits_for_the_head_and_a_plan_says_when(text, plan):
    assert plan_of(text, epochs=9, stages=5) == plan
    assert list(plan_of(text, epochs=9, stages=5)) == sorted(plan)


def test_the_cache_takes_the_size_that_is_given_for_it():
    given = argparse.Namespace(cache="memory", cache_size=3, copies=4, plan={0: 0, 3: 2})
    assert transfer_recipe.cache(given).store.max_bytes == 3_000_000
    given.plan = {0: "all"}
    assert transfer_recipe.cache(given) is None


def test_plans_in_words():
    assert words({0: 0, 5: 2, 7: "all"}, ("C1", "C2", "C3")) == (
        "from epoch 1 the head alone, from epoch 6 C2 C3 and the head, from epoch 8 C1 C2 C3 and the head"
    )


def test_the_worst_mistake_gives_the_true_class_least():
    p = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    assert worst_first(p, np.array([1, 1, 1, 1])).tolist() == [1, 3, 0]
    assert worst_first(p, np.array([0, 0, 1, 0])).tolist() == []


@pytest.mark.slow
def test_a_real_network_and_its_weights_for_the_next_run(images, tmp_path):
    command = [sys.executable, "-m", "tfnn", "transfer", "--data", images, *BASE, "--image-size", "32", "--unfreeze", "1"]
    for weights, out in ("none", "first"), (tmp_path / "first", "second"):
        given = ["--weights", weights, "--epochs", "2", "--out", tmp_path / out]
        output = subprocess.run(list(map(str, [*command, *given])), check=True, capture_output=True, text=True).stdout
        assert "from epoch 1 the head alone, from epoch 2 C5 and the head" in output and "2 traces" in output
        assert sorted(Bundle(tmp_path / out / "bundle").labels) == sorted(NAMES)
    models = [keras.saving.load_model(tmp_path / out / "model.keras", compile=False) for out in ("first", "second")]
    same = [
        all(np.array_equal(a, b) for a, b in zip(*(model.get_layer(stage).get_weights() for model in models)))
        for stage in ("C1", "C4", "C5")
    ]
    assert same == [True, True, False]
