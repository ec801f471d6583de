"""What a bundle tells of itself, and that it is refused where a byte differs."""

import json
import random
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.serving.test_export import LABELS, classifier, pictures
from tfnn.serving import Bundle, origin, verified


@pytest.fixture(scope="module")
def path(tmp_path_factory):

    keras.utils.set_random_seed(2)
    scale = keras.layers.Rescaling(1 / 255)
    options = {"labels": LABELS, "preprocess": scale, "top_k": 2, "metrics": {"test_accuracy": np.float32(0.5)}}
    return tfnn.export(classifier(), tmp_path_factory.mktemp("models") / "animals", embedding=True, **options)


def test_bundle_json_tells_what_it_takes_and_gives(path):
    about = json.loads((path / "bundle.json").read_text())
    assert about["name"] == "animals" and about["labels"] == "assets/labels.txt"
    assert sorted(about["signatures"]) == ["embedding", "image_bytes", "raw", "serving_default"]
    asked = about["signatures"]["serving_default"]
    assert asked["inputs"]["image"]["dtype"] == "uint8" and asked["inputs"]["image"]["shape"] == [None] * 4
    assert asked["outputs"]["classes"]["shape"] == [None, 2] and asked["outputs"]["probabilities"]["shape"] == [None, 3]
    assert sorted(asked["outputs"]) == ["classes", "ok", "probabilities", "scores"]
    assert about["signatures"]["raw"]["inputs"]["image"] == {
        "dtype": "float32",
        "shape": [None, 6, 5, 1],
        "meaning": "preprocessed",
    }
    assert about["signatures"]["embedding"]["outputs"]["embedding"]["shape"] == [None, 30]


def test_bundle_json_tells_how_it_was_made(path):
    about = verified(path)
    assert about["metrics"] == {"test_accuracy": 0.5} and about["parameters"]["count"] == 93
    assert about["versions"]["keras"] == keras.__version__ and about["versions"]["tfnn"] == tfnn.__version__
    assert about["arguments"]["preprocess"]["class"] == "Rescaling" and about["arguments"]["embedding"] is True
    assert len(about["git_commit"].removesuffix("-dirty")) == 40


def test_a_bundle_without_a_repository_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert origin.commit() is None


def test_one_flipped_bit_in_any_file_is_refused(path, tmp_path):
    shutil.copytree(path, tmp_path / "1")
    assert verified(tmp_path / "1")["name"] == "animals"
    files = [file for file in (tmp_path / "1").rglob("*") if file.is_file()]
    assert len(files) == 7
    draw = random.Random(0)
    for file in files:
        whole = file.read_bytes()
        for place in {0, len(whole) - 1, *(draw.randrange(len(whole)) for _ in range(20))}:
            damaged = bytearray(whole)
            damaged[place] ^= 1 << draw.randrange(8)
            file.write_bytes(damaged)
            with pytest.raises(ValueError, match="1: damaged, "):
                verified(tmp_path / "1")
        file.write_bytes(whole)
    with pytest.raises(ValueError, match="1: damaged, "):
        files[0].unlink()
        Bundle(tmp_path / "1")


def test_ask_answers_and_refuses(path):
    bundle = Bundle(path)
    answer = bundle.ask("serving_default", image=pictures())
    assert answer["classes"].shape == (4, 2) and answer["scores"].dtype == np.float32
    np.testing.assert_allclose(bundle.ask("raw", image=pictures() / 255)["probabilities"], answer["probabilities"], rtol=1e-5)
    np.testing.assert_allclose(
        bundle.ask("embedding", image=pictures())["embedding"], pictures().reshape(4, 30) / 255, rtol=1e-5
    )
    for signature, inputs, message in (
        ("classify", {"image": pictures()}, "no signature classify; there are"),
        ("raw", {"picture": pictures()}, "raw takes image, not picture"),
        ("raw", {"image": pictures()[..., 0]}, r"image has shape \(4, 6, 5\), wanted \(None, 6, 5, 1\)"),
        ("raw", {"image": "text"}, "cannot be taken"),
    ):
        with pytest.raises(ValueError, match=message):
            bundle.ask(signature, **inputs)


def test_classes_beyond_the_named_ones_are_ranked_too(path):
    answer = Bundle(path).classify(tf.io.encode_png(pictures()[0]).numpy())
    assert sorted(name for name, _ in answer) == sorted(LABELS)
    assert [score for _, score in answer] == sorted((score for _, score in answer), reverse=True)
