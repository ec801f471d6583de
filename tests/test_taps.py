import keras
import numpy as np
import pytest

from tfnn.taps import tapped


def test_taps_fire_in_order_see_inputs_and_replace_outputs():
    first, second = keras.layers.Dense(3), keras.layers.Dense(2)
    model = keras.Sequential([keras.Input((4,)), first, second])
    x, seen = np.ones((5, 4), "float32"), []

    def zero(layer, inputs, output):
        seen.append((layer.name, inputs.shape, output.shape))
        return 0 * output

    before = model(x)
    with tapped([second, first], zero):
        assert np.all(model(x) == 0)
    assert seen == [(first.name, (5, 4), (5, 3)), (second.name, (5, 3), (5, 2))]
    np.testing.assert_array_equal(model(x), before)


def test_taps_are_removed_after_an_error():
    layer = keras.layers.Dense(3)
    with pytest.raises(RuntimeError), tapped([layer], lambda *_: 0):
        raise RuntimeError
    assert "call" not in vars(layer)


def test_a_layer_called_by_keywords_is_tapped():
    layer, seen = keras.layers.MultiHeadAttention(1, 2), []
    x = np.ones((1, 3, 2), "float32")
    with tapped([layer], lambda layer, inputs, output: seen.append(inputs.shape) or output):
        layer(query=x, value=x[:, :2])
    assert seen == [(1, 3, 2)]
