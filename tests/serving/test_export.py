"""What is exported answers as the model does, from raw images, without Keras; or it does not appear."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tfnn.data.pixels import resize, with_channels
from tfnn.serving import Bundle, verified
from tfnn.serving.manifest import MEANINGS

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
    assert answer["ok"].tolist() == [True] * 4
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


def test_the_next_number_is_taken_and_old_versions_stay(tmp_path):
    model = classifier()
    assert tfnn.export(model, tmp_path / "m").name == "1"
    assert tfnn.export(model, tmp_path / "m", version=7).name == "7"
    assert tfnn.export(model, tmp_path / "m").name == "8"
    with pytest.raises(FileExistsError, match="7 exists"):
        tfnn.export(model, tmp_path / "m", version=7)
    assert sorted(child.name for child in (tmp_path / "m").iterdir() if child.is_dir()) == ["1", "7", "8"]
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
        (lambda: classifier(channels=2), {"prepare": tf.identity}, r"one image of known size, got \(None, 6, 5, 2\)"),
        (lambda: tfnn.models.mlp((6, 5, 1), 1), {"labels": "abc"}, "3 labels for a model of 2 classes"),
        (lambda: classifier(), {"labels": (), "from_logits": True}, "are for a model of one output"),
        (lambda: classifier(), {"top_k": 0}, "top_k=0 must be a positive integer"),
        (lambda: classifier(), {"size": (9, 9)}, r"size=\(9, 9\) does not fit"),
        (lambda: tfnn.models.mlp((4,), 2), {"size": (9, 9)}, r"is for a model of one input \(height, width, 1 or 3\)"),
        (lambda: classifier(), {"signatures": ["serve"]}, "'serve' is none of serving_default, image_bytes, raw"),
        (lambda: tfnn.models.mlp((4,), 2), {"signatures": ["image_bytes"]}, "none of serving_default, raw"),
        (lambda: classifier(), {"signatures": ["embedding"]}, "asked for by embedding="),
        (lambda: classifier(), {"signatures": []}, "at least one"),
        (lambda: classifier(), {"embedding": "deep"}, "no layer of that name"),
        (lambda: classifier(), {"warmup": np.zeros((3, 6, 5), np.uint8)}, r"image has shape \(3, 6, 5\)"),
        (lambda: classifier(), {"warmup": {"picture": np.zeros((3, 6, 5, 1))}}, "inputs by name: image"),
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
    with pytest.raises(ValueError, match=r"no bundle.json, which tfnn.export writes"):
        Bundle(tmp_path)


def test_digits_in_saved_models_are_accurate(digits):
    """The bundle in the repository, fed with the digits as uint8 images, as an operator would."""
    path = pathlib.Path(__file__).parents[2] / "saved_models" / "digits" / "1"
    assert sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) < 1e6
    about = verified(path)
    assert about["signatures"]["image_bytes"]["inputs"]["image_bytes"]["meaning"] == MEANINGS["image_bytes"]
    assert len(about["git_commit"]) == 40 and about["metrics"]["test_accuracy"] >= 0.99
    images = np.round(digits.test.x * (255 / 16)).astype(np.uint8)
    names = serve(path, image=images)["classes"][:, 0].astype(int)
    assert np.mean(names == digits.test.y) >= 0.99
