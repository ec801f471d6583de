"""From a name to a bundle that answers, for every network of Keras Applications; weights are random, images small."""

import gc

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.transfer.bodies import values
from tfnn.transfer import StageModel, backbone, backbones, load_weights


def check(name, folder):
    known = backbone(name)
    side = known.minimum_size
    random = np.random.RandomState(0)
    pixels, labels = random.randint(0, 256, (4, side, side, 3)).astype(np.uint8), np.array([0, 1, 2, 1])
    keras.utils.set_random_seed(1)
    model = tfnn.transfer.classifier(name, 3, (side, side, 3), unfreeze=1, kernel_initializer="he_normal")
    model.compile(tfnn.optimizers.SGD(1e-3), "sparse_categorical_crossentropy")
    *frozen, last = stages = [layer for layer in model.layers if isinstance(layer, StageModel)]
    assert [stage.name for stage in stages] == list(known.stages)
    assert [stage.count_params() for stage in stages] == list(known.stages.values())
    before = values(weight for stage in frozen for weight in stage.weights)
    moved = values(last.weights)
    tfnn.fit(model, pixels, labels, batch_size=2, epochs=1, verbose=0, seed=1, nonfinite="ignore")
    for old, new in zip(before, values(weight for stage in frozen for weight in stage.weights), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not all(np.array_equal(old, new) for old, new in zip(moved, values(last.weights)))

    version = tfnn.export(model, folder / "bundle", labels=["a", "b", "c"])
    answers = tfnn.serving.Bundle(version).ask("image_bytes", image_bytes=[tf.io.encode_png(image).numpy() for image in pixels])
    assert answers["ok"].all()
    np.testing.assert_allclose(answers["probabilities"], model.predict(pixels, verbose=0), atol=1e-5)

    model.save(folder / "model.keras")
    again = known.build((side, side, 3))
    load_weights(again, folder / "model.keras")
    parts = [weight for stage in stages for weight in stage.weights]
    assert sorted(map(digest, again.weights)) == sorted(map(digest, parts))
    keras.backend.clear_session()


def digest(weight):
    return tfnn.training.resume.fingerprint.digest(weight.numpy())


def test_a_small_backbone_from_its_name_to_its_answers(tmp_path):
    check("MobileNetV3Small", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", backbones())
def test_each_backbone_from_its_name_to_its_answers(name, tmp_path):
    check(name, tmp_path)
    gc.collect()
