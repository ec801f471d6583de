"""recalibrate_batch_norm against moments that numpy takes over the whole data."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.needs import RENORM
from tfnn.layers import recalibrate_batch_norm

LAYERS = tfnn.layers.BatchNormalization, keras.layers.BatchNormalization


def data(shape=(50, 6, 5, 3)):
    drift = np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    return (np.random.RandomState(0).normal(3, 2, shape) + drift).astype(np.float32)


def alone(layer, shape=(None, None, 3)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, layer(inputs))


def assert_moments(layer, x, axes):
    np.testing.assert_allclose(layer.moving_mean, x.astype("f8").mean(axes), rtol=5e-6)
    np.testing.assert_allclose(layer.moving_variance, x.astype("f8").var(axes), rtol=5e-6)


@pytest.mark.parametrize("batch_size", [7, 32, 100])
@pytest.mark.parametrize("cls", LAYERS)
def test_the_first_layer_gets_the_moments_of_the_whole_data_however_it_is_cut(cls, batch_size):
    """The examples drift, so that the mean of the variances of batches would be far off."""
    layer = cls()
    assert recalibrate_batch_norm(alone(layer), data(), batch_size) == [layer]
    assert_moments(layer, data(), (0, 1, 2))


@pytest.mark.parametrize(
    "of, options, x",
    [
        (tfnn, {"virtual_batch_size": 3}, data()),
        (tfnn, {"axis": 1}, data((50, 3, 6, 5))),
        (tfnn, {}, data((50, 3))),
        pytest.param(tfnn, {"renorm": True}, data(), marks=RENORM),
        pytest.param(keras, {"renorm": True, "renorm_clipping": {"rmax": 2.0}}, data(), marks=RENORM),
        (tfnn, {"synchronized": True}, data()),
    ],
)
def test_every_form_of_the_layer_is_measured_and_keeps_its_settings(of, options, x):
    layer = of.layers.BatchNormalization(**options)
    config = layer.get_config()
    recalibrate_batch_norm(alone(layer, x.shape[1:]), x, 20)
    axes = tuple(axis for axis in range(x.ndim) if axis != layer.axis % x.ndim)
    assert_moments(layer, x, axes)
    assert layer.get_config() == config and "call" not in vars(layer)
    before = np.array(layer.moving_variance)
    layer(x, training=True)
    if not getattr(layer, "virtual_batch_size", None):  # else the variance within ghosts
        np.testing.assert_allclose(layer.moving_variance, before, rtol=1e-3)  # one step on the same data has nowhere to go


def test_masked_positions_do_not_count():
    x = data((20, 6, 3))
    x[:, 4:] = 0.0
    x[17:] = 0.0
    inputs = keras.Input((6, 3))
    layer = tfnn.layers.BatchNormalization()
    model = keras.Model(inputs, layer(keras.layers.Masking()(inputs)))
    recalibrate_batch_norm(model, x, 17)  # the last batch is masked as a whole
    np.testing.assert_allclose(layer.moving_mean, x[:17, :4].mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, x[:17, :4].var((0, 1)), rtol=1e-5)


def deep():
    """Layers of both kinds at several depths, dropout before one of them, and one that is frozen."""
    inner = keras.Sequential([keras.Input((6, 5, 4)), tfnn.layers.ResidualBlock(4), keras.layers.BatchNormalization()])
    frozen = keras.layers.BatchNormalization(name="frozen", trainable=False)
    inputs = keras.Input((6, 5, 3))
    x = keras.layers.Dropout(0.5, seed=1)(keras.layers.Conv2D(4, 3, padding="same")(inputs))
    model = keras.Model(inputs, frozen(inner(x)))
    model.compile("sgd", "mse")
    return model


def test_deep_layers_see_the_batch_moments_of_those_before_and_no_dropout():
    model = deep()
    reference = deep()
    reference.set_weights(model.get_weights())
    norms = lambda m: [n for n in m._flatten_layers() if isinstance(n, keras.layers.BatchNormalization) and n.trainable]
    for norm in norms(reference):
        norm.momentum = 0.0
    next(layer for layer in reference.layers if isinstance(layer, keras.layers.Dropout)).rate = 0
    reference(data(), training=True)
    assert recalibrate_batch_norm(model, data(), 50) == norms(model) and len(norms(model)) == 3
    for ours, theirs in zip(norms(model), norms(reference), strict=True):
        np.testing.assert_allclose(ours.moving_mean, theirs.moving_mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(ours.moving_variance, theirs.moving_variance, rtol=1e-4, atol=1e-6)


def state(model):
    generators = [layer.seed_generator.state for layer in model._flatten_layers() if hasattr(layer, "seed_generator")]
    return {v.path + str(i): np.array(v) for i, v in enumerate([*model.variables, *generators, *model.optimizer.variables])}


def test_nothing_else_changes():
    model = deep()
    before = state(model)
    measured = recalibrate_batch_norm(model, data(), 20)
    moved = {name for name, value in state(model).items() if not np.array_equal(value, before[name])}
    assert len(moved) == 2 * len(measured) and all("/moving_" in name and "frozen" not in name for name in moved)


class Broken(Exception):
    pass


def breaks():
    yield data()
    raise Broken


@pytest.mark.parametrize(
    "source, error",
    [(breaks(), Broken), (np.full((4, 6, 5, 3), np.nan, "f4"), ValueError), (np.zeros((0, 6, 5, 3), "f4"), ValueError)],
)
def test_whatever_fails_leaves_the_model_as_it_was(source, error):
    model = deep()
    before = state(model)
    with pytest.raises(error):
        recalibrate_batch_norm(model, source)
    for name, value in state(model).items():
        np.testing.assert_array_equal(value, before[name])
    for layer in model._flatten_layers():
        assert getattr(layer, "momentum", 0.99) == 0.99 and "call" not in vars(layer)


def test_data_of_several_inputs_and_from_a_tf_data_pipeline():
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    norms = [tfnn.layers.BatchNormalization() for _ in "ab"]
    model = keras.Model({"a": a, "b": b}, [norm(x) for norm, x in zip(norms, (a, b))])
    x = {"a": data((50, 3)), "b": -data((50, 3))}
    for source in x, tf.data.Dataset.from_tensor_slices((x, np.zeros(50))).batch(8):
        recalibrate_batch_norm(model, source, 8)
        for norm, part in zip(norms, x.values()):
            assert_moments(norm, part, 0)
            norm.moving_mean.assign(np.zeros(3))


def test_a_layer_that_is_used_twice_is_measured_on_both():
    layer, x = tfnn.layers.BatchNormalization(), data((50, 3))
    inputs = keras.Input((3,))
    model = keras.Model(inputs, [layer(inputs), layer(2 * inputs)])
    recalibrate_batch_norm(model, x)
    assert_moments(layer, np.concatenate([x, 2 * x]), 0)


def test_refuses():
    with pytest.raises(ValueError, match="batch_size=0"):
        recalibrate_batch_norm(deep(), data(), 0)
    with pytest.raises(ValueError, match="not built"):
        recalibrate_batch_norm(keras.Sequential([keras.layers.BatchNormalization()]), data())
    assert recalibrate_batch_norm(tfnn.models.mlp((3,), 2), data((5, 3))) == []
