"""A classifier is its backbone, stage by stage, with a head; what is frozen stays as it is."""

import re
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.transfer.bodies import body, classifier, images_and_labels, values
from tfnn.transfer import StageModel, backbone, stages

README = Path(__file__).parents[2] / "README.md"
X, Y = images_and_labels()


def features(model):
    return keras.Model(model.input, model.get_layer("head").input)


def test_the_stages_one_after_the_other_are_the_backbone():
    whole = body()
    model = tfnn.transfer.classifier(whole, 10, unfreeze="all", dropout=0)
    assert [layer.name for layer in model.layers] == ["image", "C1", "C2", "C3", "head"]
    assert [layer.name for layer in model.layers[1:4]] == [stage.name for stage in stages(whole)]
    np.testing.assert_array_equal(features(model)(X, training=False), whole(X, training=False))
    assert {id(w) for stage in model.layers[1:4] for w in stage.weights} == {id(w) for w in whole.weights}
    assert not np.array_equal(whole(X, training=True), whole(X, training=True)), "else dropout would not be seen"


def test_a_frozen_stage_is_wholly_in_inference_mode():
    model = classifier(dropout=0)
    whole = features(model)
    np.testing.assert_array_equal(whole(X, training=True), whole(X, training=False))
    before = values(w for w in model.weights if w.path.split("/")[-1].startswith("moving"))
    model(X, training=True)
    for variable, value in zip((w for w in model.weights if w.path.split("/")[-1].startswith("moving")), before):
        np.testing.assert_array_equal(variable, value)
    tfnn.transfer.freeze(model, 2)
    assert not np.array_equal(whole(X, training=True), whole(X, training=False))


@pytest.mark.parametrize("unfreeze, trained", [(0, []), (1, ["C3"]), (2, ["C2", "C3"]), (3, ["C1", "C2", "C3"])])
def test_training_changes_what_is_unfrozen_and_nothing_else(unfreeze, trained):
    model = classifier(unfreeze=unfreeze)
    before = {layer.name: values(layer.weights) for layer in model.layers}
    tfnn.fit(model, X, Y, epochs=1, verbose=0, seed=1)
    for layer in model.layers:
        changed = [not np.array_equal(old, new) for old, new in zip(before[layer.name], values(layer.weights))]
        if layer.name == "head" or layer.name in trained:
            assert np.mean(changed) > 0.6, layer.name  # at zeros the head gives its stage no gradient in the first update
        else:
            assert not any(changed), layer.name


def test_a_sequential_is_a_backbone_too():
    layers = [keras.layers.Conv2D(4, 3, 2), keras.layers.Conv2D(4, 3, 2), keras.layers.GlobalMaxPooling2D()]
    backbone = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    model = tfnn.transfer.classifier(backbone, 10, unfreeze=1)
    assert len(model.trainable_weights) == 4
    features, _ = tfnn.transfer.FeatureCache().split(model)
    np.testing.assert_array_equal(features(X), backbone(X))


def test_a_name_brings_its_preprocessing():
    model = tfnn.transfer.classifier("MobileNetV2", 3, (32, 32, 3), kernel_initializer="he_normal")
    pixels = np.random.RandomState(0).randint(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    known = backbone("MobileNetV2")
    theirs = keras.applications.mobilenet_v2.preprocess_input(pixels.astype(np.float32))
    preprocessing = keras.Model(model.input, model.get_layer("preprocessing").output)
    np.testing.assert_allclose(preprocessing(pixels), theirs, atol=1e-5)
    assert model.output_shape == (None, 3) and model.count_params() == known.parameters + 3 * (known.features + 1)
    assert len(model.trainable_variables) == 2
    assert [stage.name for stage in model.layers if isinstance(stage, StageModel)] == list(known.stages)


def test_a_network_of_keras_applications_is_told_to_lack_its_preprocessing():
    network = keras.applications.MobileNet(include_top=False, pooling="avg", weights=None, input_shape=(32, 32, 3), alpha=0.25)
    with pytest.warns(UserWarning, match="is given pixels of 0 to 255.*preprocessing='MobileNet'"):
        bare = tfnn.transfer.classifier(network, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = tfnn.transfer.classifier(network, 3, preprocessing="MobileNet")
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    np.testing.assert_allclose(
        features(whole)(images), features(bare)(keras.applications.mobilenet.preprocess_input(images.copy())), atol=1e-5
    )


@pytest.mark.parametrize("outputs", [lambda x: [x], lambda x: {"features": x}], ids=["a list", "a dict"])
def test_a_backbone_may_give_its_features_in_a_structure(outputs):
    inside = body()
    wrapped = keras.Model([inside.input], outputs(inside.output))
    images = images_and_labels(4)[0]
    (found,) = keras.tree.flatten(features(tfnn.transfer.classifier(wrapped, 3))(images))
    np.testing.assert_allclose(found, inside(images), atol=1e-6)


def test_preprocessing_is_exact_in_half_precision():
    pixels = np.arange(256, dtype=np.float32).reshape(1, -1, 1, 1) * np.ones((1, 1, 1, 3), np.float32)
    for mode in "caffe", "tf", "torch", "inside":
        keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            layer = tfnn.transfer.Preprocessing(mode)
        finally:
            keras.config.set_dtype_policy("float32")
        out = layer(tf.constant(pixels))
        assert out.dtype == tf.float32
        np.testing.assert_array_equal(out, tfnn.transfer.pixel_modes.preprocess(pixels, mode))


def test_a_saved_classifier_comes_back(tmp_path):
    model = classifier(unfreeze=1, dropout=0)
    tfnn.fit(model, X, Y, epochs=1, verbose=0, seed=1)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(X), model(X))
    assert [type(layer) for layer in again.layers] == [type(layer) for layer in model.layers]
    assert [layer.trainable for layer in again.layers[1:4]] == [False, False, True]
    tfnn.transfer.freeze(again, 0)
    np.testing.assert_array_equal(features(again)(X, training=True), features(again)(X, training=False))


@pytest.mark.slow
def test_the_readmes_example_runs(tmp_path, monkeypatch):
    """As it stands, but for ImageNet's weights, which need a network, and for fewer epochs of a smaller backbone."""
    (example,) = re.findall(r"```py\n(.*?)```", README.read_text(), re.S)
    for words, instead in (
        ('"imagenet"', "None"),
        ("epochs=20", "epochs=2"),
        ("10: ", "1: "),
        ("MobileNetV2", "MobileNetV3Small"),
    ):
        assert words in example
        example = example.replace(words, instead)
    random = np.random.RandomState(0)
    images, labels = random.randint(0, 256, (40, 96, 96, 3)).astype(np.uint8), np.arange(40) % 10
    monkeypatch.chdir(tmp_path)
    exec(example, {"tfnn": tfnn, "images": images, "labels": labels, "names": [f"class {k}" for k in range(10)]})
    assert tfnn.serving.Bundle("models/photographs").labels[3] == "class 3" and len(list(Path("features").iterdir())) == 1


def test_the_head_starts_with_all_classes_alike():
    assert classifier(compile=False).output_shape == tfnn.transfer.classifier(body(), 10.0).output_shape
    np.testing.assert_allclose(classifier(compile=False)(X), 0.1, rtol=1e-6)
    started = classifier(compile=False, kernel_initializer=tfnn.initializers.HeNormal(seed=1)).get_layer("head").kernel
    assert abs(np.std(started) / np.sqrt(2 / 12) - 1) < 0.3


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: tfnn.transfer.classifier("MobileNet2", 3),
            "no backbone 'MobileNet2' in keras.applications; near are MobileNet",
        ),
        (lambda: tfnn.transfer.classifier(body(), 1), "classes=1 must be an integer of at least 2"),
        (lambda: tfnn.transfer.classifier(body(), "five"), "classes='five' must be an integer of at least 2"),
        (lambda: tfnn.transfer.classifier(body(), None), "classes=None must be an integer"),
        (lambda: tfnn.transfer.classifier(body(), float("inf")), "classes=inf must be an integer"),
        (lambda: tfnn.transfer.classifier(body(), 3, (8, 8, 1)), "belong to a backbone that is given by name"),
        (
            lambda: tfnn.transfer.classifier(body(), 3, unfreeze=4),
            "unfreeze=4 must be an integer from 0 to the 3 stages, or 'all'",
        ),
        (lambda: tfnn.transfer.classifier(body(), 3, unfreeze="some"), "unfreeze='some' must be an integer from 0"),
        (lambda: tfnn.transfer.classifier("VGG16", 3, (16, 16, 3)), "VGG16 takes images of at least 32 × 32"),
        (lambda: tfnn.transfer.classifier("VGG16", 3, weights="vgg.h5"), "weights='vgg.h5': no such file"),
        (
            lambda: tfnn.transfer.classifier(keras.Model(body().input, body().layers[-2].output), 3),
            "a backbone must|not connected",
        ),
        (lambda: tfnn.transfer.freeze(tfnn.models.mlp((8, 8, 1), 10)), "has no stages: make it with tfnn.transfer.classifier"),
        (lambda: tfnn.transfer.classifier(tfnn.models.mlp((8, 8, 1), 10), 3), "gives classes: make it with include_top=False"),
        (lambda: tfnn.transfer.classifier("VGG16", 3, preprocessing="VGG16"), "is for a model; VGG16 brings its own"),
        (lambda: tfnn.transfer.classifier(body(), 3, preprocessing="VGG"), "no backbone 'VGG' in keras.applications"),
        (
            lambda: tfnn.transfer.Preprocessing("tensorflow"),
            "mode='tensorflow' must be one of 'caffe', 'inside', 'tf', 'torch'",
        ),
    ],
)
def test_what_makes_no_classifier_is_refused(call, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
