"""Weights that join an optimizer late count their own updates, and weights may learn at rates of their own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn

GRADIENTS = np.random.RandomState(0).normal(size=(30, 3)).astype(np.float32)


def weight(name="w"):
    return keras.Variable(np.ones(3, np.float32), name=name)


def train(optimizer, weights, gradients):
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient)] * len(weights), weights)


@pytest.mark.parametrize("make", [tfnn.optimizers.Adam, tfnn.optimizers.LAMB, lambda: tfnn.optimizers.Adam(amsgrad=True)])
def test_what_joins_late_is_updated_as_by_an_optimizer_of_its_own(make):
    alone, joined = make(), make()
    first, late, lone = weight("a"), weight("b"), weight("b")
    train(joined, [first], GRADIENTS[:20])
    train(joined, [first, late], GRADIENTS[20:])
    train(alone, [lone], GRADIENTS[20:])
    np.testing.assert_array_equal(late, lone)
    assert int(joined.iterations) == 30


def test_a_shared_count_would_be_wrong():
    """Adam's steps have at most the size η while all gradients are alike; Keras's are three times as large, then six times."""
    for optimizer, most in (keras.optimizers.Adam(), 6.5), (tfnn.optimizers.Adam(), 1.0):
        first, late = weight("a"), weight("b")
        if most == 1:
            optimizer.build([first])
            optimizer.add_weights([late])
        else:
            optimizer.build([first, late])
        optimizer.iterations.assign(5000)
        places = [np.array(late)]
        for _ in range(10):
            train(optimizer, [first, late], GRADIENTS[:1])
            places.append(np.array(late))
        np.testing.assert_allclose(np.abs(np.diff(places, axis=0)).max(), most * 1e-3, rtol=0.02)


def test_weights_known_from_the_start_count_from_when_they_take_part():
    optimizer, alone = tfnn.optimizers.Adam(), tfnn.optimizers.Adam()
    first, late, lone = weight("a"), weight("b"), weight("b")
    optimizer.build([first])
    optimizer.add_weights([late])
    train(optimizer, [first], GRADIENTS[:20])
    train(optimizer, [first, late], GRADIENTS[20:])
    train(alone, [lone], GRADIENTS[20:])
    np.testing.assert_array_equal(late, lone)


def model_of_two():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="below"), keras.layers.Dense(2, name="head")])


def test_a_saved_model_keeps_who_counts_what(tmp_path):
    x, y = np.ones((8, 4), np.float32), np.zeros((8, 2), np.float32)
    model = model_of_two()
    below, _ = model.layers
    model.compile(tfnn.optimizers.Adam(0.01), "mse")
    below.trainable = False
    model.fit(x, y, epochs=5, verbose=0)
    below.trainable = True
    model.compile(model.optimizer, "mse")
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    clocks = [again.optimizer.clocks.of(w) for w in again.trainable_variables]
    assert [None if clock is None else int(clock.value) for clock in clocks] == [2, 2, None, None] and int(
        again.optimizer.iterations
    ) == 7
    for one in model, again:
        one.fit(x, y, epochs=1, verbose=0)
    for ours, theirs in zip(model.weights, again.weights):
        np.testing.assert_array_equal(ours, theirs)


def test_a_weight_learns_at_its_factor_of_the_rate():
    for make in tfnn.optimizers.SGD, tfnn.optimizers.Adam, lambda rate: tfnn.optimizers.AdamW(rate, weight_decay=0.1):
        scaled, plain, slow = make(0.1), make(0.1), make(0.025)
        ours, other, theirs = weight("a"), weight("b"), weight("a")
        scaled.scale_learning_rate([ours], 0.25)
        train(scaled, [ours, other], GRADIENTS)
        train(slow, [theirs], GRADIENTS)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
        reference = weight("b")
        train(plain, [reference], GRADIENTS)
        np.testing.assert_array_equal(other, reference)


def test_a_new_factor_takes_effect_in_a_trained_model():
    x, y = np.ones((8, 4), np.float32), np.zeros((8, 2), np.float32)
    model = model_of_two()
    model.compile(tfnn.optimizers.SGD(0.1), "mse")
    tfnn.fit(model, x, y, verbose=0, seed=1)
    model.optimizer.scale_learning_rate(model.layers[0].trainable_variables, 1e-9)
    before = [np.array(w) for w in model.weights]
    tfnn.fit(model, x, y, verbose=0, seed=1)
    assert np.abs(model.weights[0] - before[0]).max() < 1e-9 < np.abs(model.weights[2] - before[2]).max()


def test_a_factor_must_be_positive():
    for factor in 0, -1, float("inf"), float("nan"):
        with pytest.raises(ValueError, match=f"factor={factor} must be positive"):
            tfnn.optimizers.SGD().scale_learning_rate([], factor)
