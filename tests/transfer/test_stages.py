"""Stages partition a graph where its resolution falls, and split no block."""

import keras
import numpy as np
import pytest

from tfnn.transfer.stages import graph, stages

L = keras.layers


def named(model):
    return {stage.name: [layer.name for layer in stage.layers] for stage in stages(model)}


def check_partition(model):
    """Each layer in one stage, in order; no edge leads back; BatchNorm stands with the convolution before it."""
    found = stages(model)
    place = {layer: index for index, stage in enumerate(found) for layer in stage.layers}
    assert sorted(layer.name for stage in found for layer in stage.layers) == sorted(layer.name for layer in model.layers)
    assert len(place) == len(model.layers)
    assert all(any(layer.trainable_weights for layer in stage.layers) for stage in found)
    for layer, before in graph(model).items():
        for one in before:
            assert place.get(one, 0) <= place.get(layer, len(found)), f"{one.name} -> {layer.name}"
            if isinstance(layer, L.BatchNormalization) and isinstance(one, (L.Conv2D, L.DepthwiseConv2D, L.SeparableConv2D)):
                assert place[one] == place[layer], f"{one.name} | {layer.name}"
    assert sum(stage.parameters for stage in found) == model.count_params()
    return found


def residual(x, width, strides, name):
    """With the strides at the second convolution, as in ResNet50V2, and squeeze and excitation."""
    y = L.BatchNormalization(name=f"{name}_bn")(x)
    y = L.Conv2D(width, 1, name=f"{name}_in")(y)
    y = L.Conv2D(width, 3, strides, padding="same", name=f"{name}_out")(y)
    squeezed = L.Dense(width, "sigmoid", name=f"{name}_se")(L.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(y))
    y = L.Multiply(name=f"{name}_excite")([y, squeezed])
    return L.Add(name=f"{name}_add")([L.Conv2D(width, 1, strides, name=f"{name}_short")(x), y])


def small(sides=(None, None)):
    inputs = keras.Input((*sides, 3), name="images")
    x = L.Rescaling(1 / 255, name="scale")(inputs)
    x = L.Conv2D(4, 3, 2, padding="same", name="stem")(x)
    x = L.BatchNormalization(name="stem_bn")(x)
    x = residual(x, 4, 1, "a")
    x = residual(x, 8, 2, "b")
    x = residual(x, 8, 1, "c")
    x = L.Conv2D(16, 1, name="block_4_expand")(x)
    x = L.DepthwiseConv2D(3, 2, name="block_4_depthwise")(x)
    x = L.Conv2D(8, 1, name="block_4_project")(x)
    x = L.MaxPooling2D(name="last")(x)
    return keras.Model(inputs, L.GlobalAveragePooling2D(name="pool")(x))


def test_blocks_open_the_stage_they_lead_to():
    found = named(small())
    assert list(found) == ["C1", "C2", "C3"]
    assert found["C1"][:4] == ["images", "scale", "stem", "stem_bn"], "a level without weights joins the next"
    assert {name.split("_")[0] for name in found["C1"][4:]} == {"a"}
    assert {name.split("_")[0] for name in found["C2"]} == {"b", "c"}, "all of b, whose stride stands in its middle"
    assert found["C3"] == ["block_4_expand", "block_4_depthwise", "block_4_project", "last", "pool"]
    check_partition(small())


def test_stages_do_not_hang_on_the_size_of_the_images():
    assert named(small()) == named(small((64, 64))) == named(small((19, 33)))


def test_nested_layers_count_with_their_strides():
    inputs = keras.Input((64, 64, 3))
    x = keras.Sequential([L.Conv2D(4, 4, 4), L.LayerNormalization()], name="stem")(inputs)
    x = keras.Sequential([L.LayerNormalization(), L.Conv2D(4, 2, 2)], name="down")(x)
    assert {name: layers[-1] for name, layers in named(keras.Model(inputs, x)).items()} == {"C2": "stem", "C3": "down"}


def test_a_pooling_of_keras_ops_counts_with_its_size():
    inputs = keras.Input((64, 64, 3))
    x = keras.ops.max_pool(L.Conv2D(4, 3, padding="same", name="one")(inputs), 2)
    model = keras.Model(inputs, L.Conv2D(4, 3, padding="same", name="two")(x))
    assert list(named(model)) == ["C0", "C1"]


def test_branches_inside_a_nested_model_count_once():
    def nested(x, name):
        inputs = keras.Input(x.shape[1:])
        y = L.Add()([L.Conv2D(4, 3, 2, padding="same")(inputs), L.Conv2D(4, 1, 2)(inputs)])
        return keras.Model(inputs, y, name=name)(x)

    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, nested(nested(inputs, "one"), "two"))
    assert {name: layers[-1] for name, layers in named(model).items()} == {"C1": "one", "C2": "two"}


def test_a_sequential_has_stages():
    layers = [L.Conv2D(4, 3, 2, name="one"), L.Conv2D(4, 3, 2, name="two")]
    assert list(named(keras.Sequential([keras.Input((32, 32, 3)), *layers])).values())[-1] == ["two"]


def test_a_layer_that_is_called_twice_is_refused():
    inputs, act = keras.Input((8, 8, 3)), L.ReLU(name="act")
    x = act(L.Conv2D(4, 3, 2)(act(L.Conv2D(4, 3)(inputs))))
    with pytest.raises(ValueError, match="layer 'act' is called twice in 'net': give each call a layer of its own"):
        stages(keras.Model(inputs, x, name="net"))


def test_what_has_nothing_to_train_is_refused():
    inputs = keras.Input((8, 8, 3))
    with pytest.raises(ValueError, match="without layers that learn"):
        stages(keras.Model(inputs, L.MaxPooling2D()(inputs)))


def test_a_frozen_model_has_the_same_stages():
    model = small()
    before = named(model)
    model.trainable = False
    assert named(model) == before


@pytest.mark.parametrize(
    "name, opening",
    [
        ("MobileNetV2", ["input_layer", "block_1_expand", "block_3_expand", "block_6_expand", "block_13_expand"]),
        ("MobileNet", ["input_layer", "conv_dw_2", "conv_dw_4", "conv_dw_6", "conv_dw_12"]),
        (
            "ResNet50V2",
            ["input_layer", "pool1_pool", *(f"conv{k}_preact_bn" for k in ("2_block3", "3_block4", "4_block6"))],
        ),
    ],
)
def test_where_the_stages_of_known_networks_begin(name, opening):
    keras.backend.clear_session()
    model = getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(32, 32, 3))
    assert [stage.layers[0].name for stage in check_partition(model)] == opening
    assert np.isclose(sum(stage.parameters for stage in stages(model)), model.count_params())
