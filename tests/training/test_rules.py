"""The rules that can be read: XLA, threads."""

import keras
import pytest

import tfnn
from tfnn.training.threads import intra_op_threads
from tfnn.training.xla import choose_jit


def model_of(*layers):
    return keras.Sequential([keras.Input((8, 8, 1)), *layers])


@pytest.mark.parametrize(
    "layers, expected, reason",
    [
        ((keras.layers.Flatten(), keras.layers.Dense(3)), True, "dense layers"),
        ((keras.layers.Conv2D(2, 3),), False, "slow at Conv2D"),
        ((tfnn.layers.ResidualBlock(2),), False, "slow at Conv2D"),
        ((keras.layers.MaxPooling2D(),), False, "slow at MaxPooling2D"),
        ((keras.layers.RandomRotation(0.1), keras.layers.Flatten()), False, "does not support XLA"),
    ],
)
def test_xla_on_a_cpu(layers, expected, reason):
    jit, why = choose_jit(model_of(*layers), "auto")
    assert jit is expected and reason in why


def test_what_is_asked_for_wins():
    model = model_of(keras.layers.Conv2D(2, 3))
    assert choose_jit(model, True) == (True, "as asked")
    assert choose_jit(model, False) == (False, "as asked")


def test_compile_s_explicit_wish_is_honoured():
    model = model_of(keras.layers.Conv2D(2, 3))
    model.compile("sgd", "mse", jit_compile=True)
    assert choose_jit(model, "auto") == (True, "as compiled")


@pytest.mark.parametrize(
    "batch, shape, threads",
    [(32, (8, 8, 1), 1), (64, (16, 16, 3), 1), (65, (16, 16, 3), 0), (32, (32, 32, 3), 0), (1, (224, 224, 3), 0)],
)
def test_threads(batch, shape, threads):
    assert intra_op_threads(batch, shape) == threads
