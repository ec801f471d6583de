"""What is exported answers as the model does, from raw images, without Keras; or it does not appear."""

import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tfnn.data.pixels import resize, with_channels
from tfnn.serving import Bundle

LABELS = ("ant", "bee", "cat")


def classifier(channels=1, **options):
    layers = [keras.Input((6, 5, channels)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
    return keras.Sequential([*layers[:1], *options.get("first", []), *layers[1:]])


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    keras.utils.set_random_seed(2)
    model = classifier()
    path = tfnn.export(model, tmp_path_factory.mktemp("models") / "animals", labels=LABELS, preprocess=lambda x: x / 255)
    return model, path


def pictures(shape=(4, 6, 5, 1), seed=0):
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def serve(path, **inputs):
    loaded = tf.saved_model.load(str(path))
    (name,) = inputs
    signature = "serving_default" if name == "image" else name
    return {key: value.numpy() for key, value in loaded.signatures[signature](**{name: tf.constant(inputs[name])}).items()}


def test_answers_are_those_of_the_model(exported):
    model, path = exported
    answer = serve(path, image=pictures())
    expected = model.predict(pictures() / 255, verbose=0)
    np.testing.assert_allclose(answer["probabilities"], expected, rtol=1e-5)
    np.testing.assert_allclose(answer["scores"], -np.sort(-expected, -1), rtol=1e-5)
    names = np.array(LABELS)[(-expected).argsort(-1)]
    assert answer["classes"].astype(str).tolist() == names.tolist()


def test_bytes_answer_as_pixels_do(exported):
    _, path = exported
    encoded = [tf.io.encode_png(image).numpy() for image in pictures()]
    from_bytes, from_pixels = serve(path, image_bytes=encoded), serve(path, image=pictures())
    np.testing.assert_array_equal(from_bytes["probabilities"], from_pixels["probabilities"])


@pytest.mark.parametrize("rows", [1, 3, 32])
@pytest.mark.parametrize("size", [(6, 5), (40, 31), (3, 2)])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_number_size_and_colour(exported, rows, size, channels):
    model, path = exported
    images = pictures((rows, *size, channels))
    expected = model(resize(with_channels(images, 1), (6, 5)) / 255)
    np.testing.assert_allclose(serve(path, image=images)["probabilities"], expected, rtol=1e-4, atol=1e-6)


FRESH = """
import json, sys
import numpy as np
import tensorflow as tf

sys.modules["tfnn"] = None
for name in [name for name in sys.modules if name.split(".")[0] == "keras"]:
    del sys.modules[name]
sys.modules["keras"] = None
loaded = tf.saved_model.load(sys.argv[1])
images = np.load(sys.argv[2])
print(json.dumps(loaded.signatures["serving_default"](image=tf.constant(images))["probabilities"].numpy().tolist()))
print(json.dumps(sorted(loaded.signatures)))
print(open(loaded.labels.asset_path.numpy()).read().split())
"""


def test_a_fresh_process_with_tensorflow_alone_loads_it(exported, tmp_path):
    model, path = exported
    np.save(tmp_path / "images.npy", pictures())
    command = [sys.executable, "-c", FRESH, str(path), str(tmp_path / "images.npy")]
    output = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path).stdout.splitlines()
    np.testing.assert_allclose(json.loads(output[0]), model.predict(pictures() / 255, verbose=0), rtol=1e-5)
    assert json.loads(output[1]) == ["image_bytes", "serving_default"]
    assert output[2] == str(list(LABELS))


def test_the_next_number_is_taken_and_old_versions_stay(tmp_path):
    model = classifier()
    assert [tfnn.export(model, tmp_path / "m").name for _ in range(3)] == ["1", "2", "3"]
    assert tfnn.export(model, tmp_path / "m", version=7).name == "7"
    assert tfnn.export(model, tmp_path / "m").name == "8"
    with pytest.raises(FileExistsError, match="7 exists"):
        tfnn.export(model, tmp_path / "m", version=7)
    assert sorted(child.name for child in (tmp_path / "m").iterdir()) == ["1", "2", "3", "7", "8"]
    assert Bundle(tmp_path / "m").path.name == "8"


def test_augmentation_does_not_reach_the_export_as_it_does_keras_s(tmp_path):
    """`model.export` bakes RandomErasing in, switched on: its answers differ from predict's. Ours do not."""
    model = classifier(first=[keras.layers.RandomErasing(1.0, scale=0.5, seed=1), keras.layers.Dropout(0.5)])
    images = pictures().astype(np.float32) / 255
    expected = model.predict(images, verbose=0)
    model.export(tmp_path / "keras", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "keras"))
    theirs = loaded.serve(images).numpy()
    assert not np.allclose(theirs, expected, atol=1e-3)
    ours = serve(tfnn.export(model, tmp_path / "ours", preprocess=lambda x: x / 255), image=pictures())["probabilities"]
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        tfnn.layers.Dropout(0.3),
        tfnn.layers.Dropout(0.3, scale_at="test"),
        tfnn.layers.Dropout(tf.Variable(0.3), scale_at="test"),
        tfnn.layers.SpatialDropout(0.3),
        tfnn.layers.GaussianDropout(0.3),
    ],
)
def test_dropout_of_every_form_is_exported_as_it_is_at_test(layer, tmp_path):
    model = classifier(first=[layer])
    answer = serve(tfnn.export(model, tmp_path / "m", preprocess=lambda x: x / 255), image=pictures())["probabilities"]
    np.testing.assert_allclose(answer, model.predict(pictures() / 255, verbose=0), rtol=1e-5)


class AlwaysRandom(keras.layers.Layer):
    def call(self, x):
        return x + keras.random.uniform(keras.ops.shape(x))


class AlwaysNoisy(tfnn.layers.RandomGaussianNoise):
    def call(self, x):
        return super().call(x, training=True)


@pytest.mark.parametrize("layer", [AlwaysRandom(), AlwaysNoisy(0.1)], ids=type)
def test_a_graph_that_draws_random_numbers_does_not_appear(layer, tmp_path):
    with pytest.raises(ValueError, match="draws random numbers"):
        tfnn.export(classifier(first=[layer]), tmp_path / "new" / "model")
    assert not (tmp_path / "new").exists()


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    tfnn.export(classifier(), tmp_path / "m")
    before = sorted(path.name for path in (tmp_path / "m").rglob("*"))

    def full(*args, **kwargs):
        pathlib.Path(args[1], "half").write_text("written")
        raise OSError("No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(OSError, match="No space"):
        tfnn.export(classifier(), tmp_path / "m")
    assert sorted(path.name for path in (tmp_path / "m").rglob("*")) == before


def test_weights_are_stored_once(exported):
    model, path = exported
    parameters = 4 * model.count_params()
    assert parameters <= sum(file.stat().st_size for file in path.glob("variables/*.data*")) < parameters + 600


def test_logits_need_a_word(tmp_path):
    model = keras.Sequential([keras.Input((6, 5, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="no probabilities; pass from_logits=True"):
        tfnn.export(model, tmp_path / "m")
    answer = serve(tfnn.export(model, tmp_path / "m", from_logits=True), image=pictures((2, 6, 5, 3)))
    np.testing.assert_allclose(answer["probabilities"].sum(-1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    "model, options, message",
    [
        (lambda: classifier(), {"labels": ["a"]}, "1 labels for a model of 3 classes"),
        (lambda: classifier(channels=2), {}, r"got \(6, 5, 2\) and \(3,\)"),
        (lambda: tfnn.models.mlp((4,), 2), {}, r"got \(4,\) and \(2,\)"),
        (lambda: tfnn.models.mlp((6, 5, 1), 1), {}, "2 or more classes"),
        (lambda: classifier(), {"labels": ["a", "b\n", "c"]}, "must be one line"),
        (lambda: keras.Sequential([keras.layers.Dense(2)]), {}, "known shapes"),
        (lambda: classifier(), {"version": 0}, "version=0 must be a positive integer"),
    ],
)
def test_refuses(tmp_path, model, options, message):
    with pytest.raises(ValueError, match=message):
        tfnn.export(model(), tmp_path / "m", **options)
    assert not (tmp_path / "m").exists()


def test_mixed_precision_answers_in_float32(tmp_path):
    model = keras.Sequential(
        [keras.Input((6, 5, 1)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax", dtype="mixed_bfloat16")]
    )
    assert serve(tfnn.export(model, tmp_path / "m"), image=pictures())["probabilities"].dtype == np.float32


def test_bundle_classifies_and_refuses(exported, tmp_path):
    _, path = exported
    answer = Bundle(path.parent).classify(tf.io.encode_jpeg(pictures((1, 30, 20, 3))[0]).numpy())
    assert sorted(name for name, _ in answer) == sorted(LABELS) and abs(sum(score for _, score in answer) - 1) < 1e-5
    with pytest.raises(ValueError, match="not a readable PNG"):
        Bundle(path).classify(b"text")
    with pytest.raises(FileNotFoundError, match="no SavedModel here"):
        Bundle(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"junk")
    with pytest.raises(ValueError, match="cannot be loaded"):
        Bundle(tmp_path)


def test_digits_in_saved_models_are_accurate(digits):
    """The bundle in the repository, fed with the digits as uint8 images, as an operator would."""
    path = pathlib.Path(__file__).parents[2] / "saved_models" / "digits" / "1"
    assert sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) < 1e6
    images = np.round(digits.test.x * (255 / 16)).astype(np.uint8)
    names = serve(path, image=images)["classes"][:, 0].astype(int)
    assert np.mean(names == digits.test.y) >= 0.99


def test_two_exports_at_once_take_two_numbers(tmp_path, monkeypatch):
    """Both see that 1 is free; the second to rename takes 2."""
    module = sys.modules["tfnn.serving.export"]
    tfnn.export(classifier(), tmp_path / "m")
    seen = iter([1, 2])
    monkeypatch.setattr(module, "next_version", lambda directory: next(seen))
    assert tfnn.export(classifier(), tmp_path / "m").name == "2"
