"""SGD against numpy, written from the lecture's equations 1, 4 and 5."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfnn.optimizers import SGD
from tfnn.optimizers.sgd import descent, momentum, nesterov

RATES, MOMENTA = (0.01, 0.3), (0.5, 0.9)


def gradients(shape, steps=20):
    return np.random.RandomState(7).normal(size=(steps, *shape)).astype(np.float32)


def start(shape):
    return np.random.RandomState(8).normal(size=shape).astype(np.float32)


def run(optimizer, shape):
    weight = keras.Variable(start(shape))
    optimizer.build([weight])
    path = []
    for g in gradients(shape):
        optimizer.apply([tf.constant(g)], [weight])
        path.append(weight.numpy())
    return np.array(path)


def momentum_reference(shape, eta, mu):
    """Eq. 4 with gradients that are given: v ← μ v − η g; θ ← θ + v."""
    theta, v, path = start(shape).astype(np.float64), np.zeros(shape), []
    for g in gradients(shape):
        v = mu * v - eta * g
        theta = theta + v
        path.append(theta)
    return np.array(path)


def nesterov_reference(shape, eta, mu):
    """Eq. 5: θ and v of the equation; returned is the look-ahead point θ + μ v at which the next gradient is taken."""
    theta, v, path = start(shape).astype(np.float64), np.zeros(shape), []
    for g in gradients(shape):
        v = mu * v - eta * g
        theta = theta + v
        path.append(theta + mu * v)
    return np.array(path)


@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 3, 4, 5)])
@pytest.mark.parametrize("eta", RATES)
def test_plain_descent_is_eq_1(shape, eta):
    expected = start(shape) - eta * np.cumsum(gradients(shape), 0, dtype=np.float64)
    np.testing.assert_allclose(run(SGD(eta), shape), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(5,), (3, 4)])
@pytest.mark.parametrize("eta", RATES)
@pytest.mark.parametrize("mu", MOMENTA)
def test_momentum_is_eq_4_and_nesterov_eq_5(shape, eta, mu):
    plain, look_ahead = momentum_reference(shape, eta, mu), nesterov_reference(shape, eta, mu)
    np.testing.assert_allclose(run(SGD(eta, mu), shape), plain, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(run(SGD(eta, mu, nesterov=True), shape), look_ahead, rtol=1e-5, atol=1e-5)
    assert not np.allclose(plain, look_ahead, rtol=1e-5, atol=1e-5)


def test_look_ahead_iterates_map_onto_eq_5_on_a_function():
    """On f(θ) = Σ a θ²/2 the gradient depends on where it is taken: w − μ v must follow eq. 5 exactly."""
    a, eta, mu = np.array([1.0, 10.0]), 0.05, 0.9
    theta, v = np.array([1.0, -2.0]), np.zeros(2)
    weight = keras.Variable(theta, dtype="float64")
    optimizer = SGD(eta, mu, nesterov=True)
    optimizer.build([weight])
    for _ in range(20):
        v = mu * v - eta * a * (theta + mu * v)
        theta = theta + v
        optimizer.apply([tf.constant(a) * weight.value], [weight])
        velocity = optimizer.state["momentum"][0].numpy()
        np.testing.assert_allclose(weight.numpy() - mu * velocity, theta, rtol=1e-5)  # η is a float32 variable


@pytest.mark.parametrize("look_ahead", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rule_and_kernel_agree(look_ahead, dtype):
    by_kernel, by_rule = SGD(0.1, 0.9, nesterov=look_ahead), SGD(0.1, 0.9, nesterov=look_ahead)
    by_rule.fused = False
    weights = []
    for optimizer in by_kernel, by_rule:
        weight = keras.Variable(start((3, 4)), dtype=dtype)
        optimizer.build([weight])
        for g in gradients((3, 4)):
            optimizer.apply([tf.constant(g, dtype)], [weight])
        weights.append(weight.numpy())
    np.testing.assert_allclose(*weights, rtol=1e-6, atol=1e-6)


def test_rules_are_pure_functions_of_numbers():
    assert descent(2.0, 3.0, 0.5) == (0.5,)
    assert momentum(1.0, 2.0, 4.0, 0.5, 0.25) == (1.0, 0.0)
    assert nesterov(1.0, 2.0, 8.0, 0.5, 0.25) == (0.25, 1.0)


def test_momentum_zero_is_plain_and_keeps_no_state():
    optimizer = SGD(0.1, momentum=0.0, nesterov=True)
    np.testing.assert_array_equal(run(optimizer, (3,)), run(SGD(0.1), (3,)))
    assert optimizer.state == {}


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"weight_decay": 0.1}])
def test_agrees_with_keras(options):
    np.testing.assert_allclose(
        run(SGD(0.1, **options), (3, 4)), run(keras.optimizers.SGD(0.1, **options), (3, 4)), rtol=1e-5, atol=1e-6
    )


def test_sparse_gradients_are_summed_and_densified():
    weights = []
    for gradient in (
        tf.IndexedSlices(tf.ones([3, 2]), tf.constant([0, 2, 2]), tf.constant([4, 2])),
        tf.constant([[1.0, 1], [0, 0], [2, 2], [0, 0]]),
    ):
        optimizer, weight = SGD(0.1, 0.9, nesterov=True), keras.Variable(start((4, 2)))
        optimizer.build([weight])
        for _ in range(3):
            optimizer.apply([gradient], [weight])
        weights.append(weight.numpy())
    np.testing.assert_allclose(*weights, rtol=1e-6)


def test_momentum_and_rate_set_in_a_run_need_no_new_trace():
    optimizer, weight = SGD(0.1, 0.9), keras.Variable([0.0])
    optimizer.build([weight])
    update = tf.function(lambda g: optimizer.apply([g], [weight]))
    update(tf.constant([1.0]))
    assert optimizer.get_config()["momentum"] == 0.9
    optimizer.momentum, optimizer.learning_rate = 0.5, 1.0
    update(tf.constant([1.0]))
    assert update.experimental_get_tracing_count() == 1
    v = 0.5 * -0.1 - 1.0
    np.testing.assert_allclose(weight.numpy(), [-0.1 + v], rtol=1e-6)
    assert optimizer.momentum == 0.5 and optimizer.get_config()["momentum"] == 0.5


@pytest.mark.parametrize(
    "options, message",
    [
        ({"learning_rate": -0.1}, "learning_rate=-0.1"),
        ({"momentum": 1.0}, r"momentum=1.0 must be in \[0, 1\)"),
        ({"momentum": -0.1}, "momentum=-0.1"),
        ({"momentum": float("nan")}, "momentum=nan"),
    ],
)
def test_refuses_what_is_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        SGD(**options)


def test_momentum_cannot_be_raised_where_no_velocity_is_kept():
    optimizer = SGD(0.1)
    with pytest.raises(ValueError, match="needs a velocity"):
        optimizer.momentum = 0.9
