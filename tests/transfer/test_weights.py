"""Weights from files, runs, bundles and Keras's cache, of the backbone or of a model that holds it."""

import hashlib
import re

import keras
import numpy as np
import pytest
from keras.src.backend import config

import tfnn
from tfnn.transfer import backbone, load_weights
from tfnn.transfer.imagenet import fetched

L = keras.layers
SHAPE = (32, 32, 3)


def tower(width=4, name="tower"):
    """A backbone of a moment, of as many kinds of layers as there are ways to store them."""
    inputs = keras.Input(SHAPE)
    x = L.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 9.0])(inputs)
    x = L.Conv2D(width, 3, 2, use_bias=False, name="conv2d_first")(x)
    x = L.BatchNormalization(name="bn")(x)
    x = keras.Sequential([L.LayerNormalization(name="ln"), L.Conv2D(2 * width, 2, 2, name="down")], name="between")(x)
    x = L.DepthwiseConv2D(3, padding="same", name="depth")(x)
    x = L.Dropout(0.1, seed=1)(x)
    x = L.Conv2D(width, 1, name="last")(x)
    return keras.Model(inputs, L.GlobalAveragePooling2D()(x), name=name)


def trained(model, seed=0):
    """With weights unlike those of any start."""
    random = np.random.RandomState(seed)
    model.set_weights([random.uniform(0.1, 1, weight.shape) for weight in model.get_weights()])
    return model


def nested(model):
    inputs = keras.Input(SHAPE)
    x = L.Rescaling(1 / 255)(inputs)
    return keras.Model(inputs, L.Dense(3, "softmax")(L.Dropout(0.5)(model(x))))


def flat(model):
    return keras.Model(model.input, L.Dense(3, "softmax")(L.Dense(7)(model.output)))


@keras.saving.register_keras_serializable("tests")
class Held(keras.Model):
    """A subclass that keeps the backbone as an attribute."""

    def __init__(self, inner=None, **options):
        super().__init__(**options)
        self.head, self.body = L.Dense(3, "softmax"), inner or tower()

    def call(self, x):
        return self.head(self.body(x))


def held(model):
    outer = Held(model)
    outer(np.zeros((1, *SHAPE), np.float32))
    return outer


def staged(model):
    return tfnn.transfer.classifier(model, 3)


HOLDERS = {"staged": staged, "itself": lambda model: model, "nested": nested, "flat": flat, "held": held}


def check_same(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_a_file_of_the_backbone_or_of_a_model_that_holds_it(holder, suffix, tmp_path):
    model = trained(tower())
    path = tmp_path / f"file{suffix}"
    outer = HOLDERS[holder](model)
    outer.save(path) if suffix == ".keras" else outer.save_weights(path)
    fresh = tower()
    load_weights(fresh, path)
    check_same(fresh, model)
    images = np.random.RandomState(0).uniform(0, 9, (2, *SHAPE))
    np.testing.assert_array_equal(fresh(images), model(images))


def test_the_folder_of_a_run_and_bundles(tmp_path):
    model = trained(tower())
    outer = nested(model)
    (tmp_path / "run").mkdir()
    outer.save(tmp_path / "run" / "model.keras")
    whole = {"freeze": False, "fold_batchnorm": False}
    version = tfnn.export(outer, tmp_path / "bundle", **whole)
    tfnn.export(nested(trained(tower(), 1)), tmp_path / "bundle", version=3, **whole)
    for path in tmp_path / "run", version:
        fresh = tower()
        load_weights(fresh, str(path))
        check_same(fresh, model)
    fresh = tower()
    load_weights(fresh, tmp_path / "bundle")
    check_same(fresh, trained(tower(), 1))  # the newest version


@pytest.mark.parametrize("kind", ["keras", "weights.h5", "bundle"])
def test_another_architecture_is_named(kind, tmp_path):
    path = tmp_path / f"file.{kind}"
    outer = nested(tower(width=5))
    if kind == "bundle":
        path = tfnn.export(outer, path, freeze=False, fold_batchnorm=False)
    else:
        outer.save(path) if kind == "keras" else outer.save_weights(path)
    message = r"no weights for tower: (layer|weight) conv2d.* wants \(3, 3, 3, 4\), the (file|bundle) holds \(3, 3, 3, 5\)"
    with pytest.raises(ValueError, match=message) as caught:
        load_weights(tower(), path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_a_deeper_backbone_is_not_taken_for_its_beginning(tmp_path):
    def chain(depth):
        inputs = keras.Input(SHAPE)
        x = L.Conv2D(4, 3, name="stem")(inputs)
        for _ in range(depth):
            x = L.Conv2D(4, 3)(x)
        return keras.Model(inputs, L.Conv2D(8, 1)(x))

    chain(3).save_weights(tmp_path / "deep.weights.h5")
    with pytest.raises(ValueError, match=r"wants \(1, 1, 4, 8\), \(8,\), the file holds \(3, 3, 4, 4\)"):
        load_weights(chain(2), tmp_path / "deep.weights.h5")


def test_a_frozen_bundle_says_so(tmp_path):
    path = tfnn.export(nested(tower()), tmp_path / "bundle")
    with pytest.raises(ValueError, match="frozen: its weights are .*, or a bundle .* --no-freeze --no-fold"):
        load_weights(tower(), path)


def test_what_is_no_weights_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="weights='nowhere.keras': no such file; wanted is 'imagenet', a .keras"):
        load_weights(tower(), "nowhere.keras")
    (tmp_path / "notes.txt").write_text("text")
    with pytest.raises(ValueError, match="must be 'imagenet', a .keras, .weights.h5 or .h5 file"):
        load_weights(tower(), tmp_path / "notes.txt")
    for name in "bad.keras", "bad.weights.h5", "bad.h5":
        (tmp_path / name).write_bytes(b"no weights")
        with pytest.raises(ValueError, match=f"{name}: no weights for tower: ") as caught:
            load_weights(tower(), tmp_path / name)
        assert "\n" not in str(caught.value)
    (tmp_path / "run").mkdir()
    with pytest.raises(ValueError, match=r"neither the folder of a finished run \(no model.keras\) nor a bundle"):
        load_weights(tower(), tmp_path / "run")
    with pytest.raises(FileNotFoundError, match="no such file"):
        backbone("MobileNetV2").build((32, 32, 3), weights=str(tmp_path / "none.keras"))


# ImageNet's weights


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty cache of Keras's, and no network."""

    def offline(url, path, *_):
        raise OSError("no network in a test")

    monkeypatch.setattr(config, "_KERAS_DIR", str(tmp_path))
    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", offline)
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def put(home, name, size):
    """Random weights, saved by Keras as its files of weights are, in the cache: (the model that has them, the file)."""
    model = getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(size, size, 3))
    file, _, _ = backbone(name).files[size]
    model.save(home / "whole.h5")
    return model, (home / "whole.h5").rename(home / file)


def test_imagenet_weights_come_from_the_cache_of_keras(home):
    images = np.random.RandomState(0).uniform(-1, 1, (2, 96, 96, 3))
    put(home, "MobileNetV2", 96)
    theirs = keras.applications.MobileNetV2(include_top=False, pooling="avg", input_shape=(96, 96, 3))
    ours = backbone("MobileNetV2").build((96, 96, 3), weights="imagenet")
    check_same(ours, theirs)
    np.testing.assert_array_equal(ours(images), theirs(images))


@pytest.mark.slow
def test_a_size_without_imagenet_weights_of_its_own_takes_the_usual_ones(home):
    put(home, "MobileNetV2", 96)
    model, _ = put(home, "MobileNetV2", 224)
    other = backbone("MobileNetV2").build((96, 128, 3), weights="imagenet")
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])


@pytest.mark.slow
def test_efficientnet_is_the_same_network_whatever_its_weights_came_through(home, monkeypatch, tmp_path):
    from keras.src.applications import efficientnet

    known = backbone("EfficientNetB0")
    model, path = put(home, "EfficientNetB0", 224)
    (normalization,) = (layer for layer in model.layers if isinstance(layer, L.Normalization))
    normalization.load_own_variables({"0": [0.485, 0.456, 0.406], "1": [0.229, 0.224, 0.225], "2": 1})  # as in Keras's file
    model.save(path)
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setitem(efficientnet.WEIGHTS_HASHES, "b0", (None, digest))
    theirs = keras.applications.EfficientNetB0(include_top=False, pooling="avg", input_shape=(32, 32, 3))
    ours = known.build((32, 32, 3), weights=path)
    images = np.random.RandomState(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    right = theirs(images).numpy()
    close = lambda model: np.abs(model(images) - right).max() < 1e-3 * np.abs(right).max()
    assert close(ours)
    plain = keras.applications.EfficientNetB0(include_top=False, pooling="avg", weights=str(path), input_shape=(32, 32, 3))
    assert not close(plain), "Keras's own `weights=path` gives another network"
    for name, saved in ("ours.keras", ours), ("theirs.keras", theirs), ("theirs.weights.h5", theirs):
        saved.save(tmp_path / name) if name.endswith(".keras") else saved.save_weights(tmp_path / name)
        assert close(known.build((32, 32, 3), weights=tmp_path / name))


def test_without_a_network_it_says_which_file_goes_where(home):
    name, url, _ = backbone("ResNet50").files[224]
    with pytest.raises(ConnectionError, match=re.escape(f"put that file at {home / name}")) as caught:
        backbone("ResNet50").build(weights="imagenet")
    assert url in str(caught.value) and "no network in a test" in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_in_the_cache_that_is_another_is_named_and_kept(home):
    (home / "some.h5").write_bytes(b"cut short")
    right = hashlib.md5(b"cut short").hexdigest()
    wrong = "0" * 32
    with pytest.raises(ValueError, match=f"some.h5: cut short or not Keras's: its md5 is {right}, not {wrong}; replace it by"):
        fetched("some.h5", "https://nowhere/some.h5", wrong)
    assert (home / "some.h5").read_bytes() == b"cut short", "Keras would have removed it"
    assert fetched("some.h5", "https://nowhere/some.h5", right) == str(home / "some.h5")
    digest = hashlib.sha256(b"cut short").hexdigest()
    assert fetched("some.h5", "https://nowhere/some.h5", digest) == str(home / "some.h5")
