"""Swapping the import changes nothing: names, arguments, seeds, numbers, what Keras's strings mean."""

import inspect

import keras
import numpy as np
import pytest

from tests.needs import has
from tfnn import initializers

OURS = {name: part for name, part in vars(initializers).items() if inspect.isclass(part)}
BOTH = [name for name, part in OURS.items() if part.__module__.startswith("tfnn") and hasattr(keras.initializers, name)]


def test_every_class_of_keras_is_here():
    assert {part.__name__ for part in vars(keras.initializers).values() if inspect.isclass(part)} <= set(OURS)


@pytest.mark.parametrize("name", BOTH)
def test_keras_s_arguments_come_first_with_their_defaults(name):
    ours, theirs = (inspect.signature(getattr(family, name)).parameters for family in (initializers, keras.initializers))
    lacking = set() if has("3.15") else {"input_axes", "output_axes"}
    kept = [parameter for parameter in ours.values() if parameter.kind is not parameter.KEYWORD_ONLY]
    kept = [parameter for parameter in kept if parameter.name not in lacking]
    plain = lambda parameters: [str(parameter.replace(annotation=parameter.empty)) for parameter in parameters]
    assert plain(kept) == plain(theirs.values())


@pytest.mark.parametrize("name", [name for name in BOTH if name != "Zeros"])
@pytest.mark.parametrize("shape", [(4, 5), (5, 4), (3, 3, 2, 40), (3, 2, 5, 4), (2, 3, 2, 4, 5)])
def test_numbers_are_keras_s_for_the_same_seed(name, shape):
    for dtype in "float32", "float64":
        ours, theirs = (getattr(family, name)(seed=5)(shape, dtype) for family in (initializers, keras.initializers))
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", [name for name, part in OURS.items() if "seed" in inspect.signature(part).parameters])
def test_seeds(name):
    make = OURS[name]
    draw = lambda seed: np.asarray(make(seed=seed)((4, 5)))
    np.testing.assert_array_equal(draw(1), draw(1))
    assert not np.allclose(draw(1), draw(2))
    assert not np.allclose(draw(None), draw(None))
    for seed, repeats in (1, True), (None, True), (keras.random.SeedGenerator(1), False):
        initializer = make(seed=seed)
        assert np.allclose(initializer((4, 5)), initializer((4, 5))) == repeats
    unseeded = make()
    assert not np.allclose(unseeded((4, 5)), unseeded.clone()((4, 5)))


def test_isinstance():
    for name in "LecunNormal", "FanOutNormal", "GlorotReluNormal", "HeUniform":
        assert isinstance(OURS[name](), (keras.initializers.VarianceScaling, initializers.VarianceScaling))
    assert isinstance(initializers.SmallNormal(), keras.initializers.RandomNormal)


@pytest.mark.parametrize("name", BOTH)
def test_keras_s_strings_stay_keras_s(name):
    assert type(keras.initializers.get(name)) is getattr(keras.initializers, name)
    assert type(keras.initializers.get(f"tfnn>{name}")) is OURS[name]


def test_a_saved_layer_keeps_the_kind_of_its_kernel(tmp_path):
    initializer = initializers.HeNormal(seed=1, kernel="depthwise")
    model = keras.Sequential([keras.Input((8, 8, 4)), keras.layers.DepthwiseConv2D(3, depthwise_initializer=initializer)])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras").layers[0].depthwise_initializer
    assert type(again) is initializers.HeNormal and again.get_config() == initializer.get_config()
    assert again.get_config()["kernel"] == "depthwise"
