"""What is known of the backbones is so, and complete for the installed Keras."""

import gc
import inspect
import json
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.transfer.test_stages import check_partition
from tfnn.transfer import Backbone, backbone, backbones, make_backbones, stages

SMALL = "MobileNetV3Small", "MobileNetV2"


def constructors():
    return {name: part for name, part in vars(keras.applications).items() if inspect.isfunction(part)}


def test_every_model_of_keras_is_known():
    assert set(backbones()) == set(constructors())
    assert [backbone(name).name for name in backbones()] == list(backbones())


def check(name):
    """Builds one at its smallest size and holds it against Keras and against what is known of it."""
    keras.backend.clear_session()
    one, constructor = backbone(name), constructors()[name]
    side = one.minimum_size
    pixels = np.random.RandomState(0).randint(0, 256, (2, side, side, 3)).astype(np.uint8)
    theirs = sys.modules[constructor.__module__].preprocess_input(pixels.astype(np.float32))
    for x in pixels, pixels.astype(np.float32), tf.constant(pixels):
        np.testing.assert_allclose(one.preprocess(x), theirs, rtol=1e-5, atol=1e-5)
    model = one.build((side, side, 3))
    features = keras.ops.convert_to_numpy(model(one.preprocess(pixels), training=False))
    assert features.shape == (2, one.features) == (2, model.output_shape[-1])
    assert np.isfinite(features).all() and np.ptp(features) > 0
    assert model.get_layer(one.feature_layer).output.shape[-1] == one.features
    assert make_backbones.feature_layer(model) == one.feature_layer
    found = check_partition(model)
    assert 4 <= len(found) <= 8
    assert {stage.name: stage.parameters for stage in found} == dict(one.stages)
    assert one.parameters == model.count_params()
    keras.backend.clear_session()


@pytest.mark.parametrize("name", SMALL)
def test_a_small_backbone_is_what_is_known_of_it(name):
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", make_backbones.names())
def test_each_backbone_is_what_is_known_of_it(name):
    check(name)
    gc.collect()


def test_facts_of_a_small_backbone_are_what_the_script_reads_off_keras():
    check_row("MobileNetV3Small")


@pytest.mark.slow
@pytest.mark.parametrize("name", make_backbones.names())
def test_facts_of_each_backbone_are_what_the_script_reads_off_keras(name):
    check_row(name)
    gc.collect()


def check_row(name):
    made = json.loads(make_backbones.text(make_backbones.row(name)))
    assert made == json.loads(make_backbones.FILE.read_text())[name]


@pytest.mark.parametrize(
    "name, message",
    [
        ("MobilNetV2", "no backbone 'MobilNetV2' in keras.applications; near are MobileNetV2, MobileNet"),
        ("resnet50", "near are ResNet50, ResNet50V2"),
        ("efficientnet-b0", "near are EfficientNetB0"),
        ("qq", "known are ConvNeXtBase, ConvNeXtLarge"),
    ],
)
def test_the_nearest_names_of_an_unknown_one(name, message):
    with pytest.raises(ValueError, match=message) as caught:
        backbone(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name, shape, weights, message",
    [
        ("MobileNetV2", (31, 64, 3), None, r"input_shape=\(31, 64, 3\): MobileNetV2 takes images of at least 32 × 32"),
        ("InceptionV3", (74, 74, 3), None, "at least 75 × 75"),
        ("ResNet50", (64, 64, 1), None, "the preprocessing of ResNet50 is for 3 channels"),
        ("MobileNetV2", (64, 64, 1), "imagenet", "ImageNet's weights are for 3 channels"),
        ("MobileNetV2", (64, 64), None, r"must be \(height, width, channels\)"),
        ("MobileNetV2", (64, 64, None), None, r"must be \(height, width, channels\)"),
        ("MobileNetV2", (64, 0, 3), None, "at least 32"),
    ],
)
def test_an_input_that_cannot_be_taken_is_refused_before_anything_is_built(name, shape, weights, message):
    began = time.perf_counter()
    with pytest.raises(ValueError, match=message):
        backbone(name).build(shape, weights)
    assert time.perf_counter() - began < 0.5


def test_it_is_built_for_any_size_channels_and_pooling():
    one = backbone("MobileNetV2")
    assert one.build().input_shape == (None, 224, 224, 3)
    grey = one.build((None, None, 1), pooling=None)
    assert grey.input_shape == (None, None, None, 1)
    assert grey(np.zeros((1, 64, 96, 1), np.float32)).shape == (1, 2, 3, one.features)
    check_partition(grey)
    assert one.build((32, 32, 3), pooling="max").output_shape == (None, one.features)


def test_what_is_known_cannot_be_changed():
    one = backbone("MobileNetV2")
    assert isinstance(one, Backbone)
    with pytest.raises(AttributeError):
        one.features = 3
    with pytest.raises(TypeError):
        one.stages["C1"] = 3
    with pytest.raises(TypeError):
        one.files[224] = None


def test_memory_is_that_of_weights_and_outputs():
    inputs = keras.Input((8, 8, 3))  # 192
    x = keras.layers.Conv2D(4, 3, 2)(inputs)  # 3 × 3 × 4
    x = keras.Sequential([keras.layers.Conv2D(5, 3), keras.layers.ReLU()])(x)  # 5 and 5
    assert make_backbones.activations(keras.Model(inputs, x)) == 192 + 36 + 10
    one = Backbone("toy", 8, 8, False, "tf", "relu", 5, {"C1": 100, "C2": 20}, 238, {})
    assert one.memory() == 4 * (120 + 238) and one.memory(batch_size=10) == 4 * (120 + 2380)


def test_stages_of_a_built_one_tell_its_layers():
    model = backbone("MobileNetV3Small").build((32, 32, 3))
    *frozen, last = stages(model)
    for stage in frozen:
        for layer in stage.layers:
            layer.trainable = False
    trained = {id(weight) for weight in model.trainable_weights}
    assert trained == {id(weight) for layer in last.layers for weight in layer.trainable_weights}
