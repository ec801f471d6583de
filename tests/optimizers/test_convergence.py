"""The optimizers minimise, and what the lecture says of AdaGrad and RMSProp."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfnn.optimizers import LAMB, LARS, SGD, Adagrad, Adam, AdamW, RMSprop
from tfnn.schedules import Cosine

UPDATES = 5000
CURVATURES = np.logspace(0, 3, 10)


def rosenbrock(w):
    return (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2


def quadratic(w):
    """Condition number 1,000."""
    return tf.reduce_sum(CURVATURES * w**2) / 2


FUNCTIONS = {"quadratic": (quadratic, np.ones(10), 1e-3), "Rosenbrock": (rosenbrock, np.array([-1.2, 1.0]), 1e-2)}
RATE = lambda rate: Cosine(rate, UPDATES)
OPTIMIZERS = {
    "SGD": lambda: SGD(RATE(0.0019)),  # 2 over the largest curvature is the bound
    "momentum": lambda: SGD(RATE(0.001), momentum=0.9),
    "Nesterov": lambda: SGD(RATE(0.001), momentum=0.9, nesterov=True),
    "Adagrad": lambda: Adagrad(RATE(0.5)),
    "RMSprop": lambda: RMSprop(RATE(0.02)),
    "RMSprop, momentum": lambda: RMSprop(RATE(0.01), momentum=0.9),
    "RMSprop, centred": lambda: RMSprop(RATE(0.01), centered=True, epsilon=1e-4),
    "Adam": lambda: Adam(RATE(0.1)),
    "AMSGrad": lambda: Adam(RATE(0.1), amsgrad=True),
    "Adam of the slide": lambda: Adam(RATE(0.1), epsilon_in_root=True),
    "AdamW": lambda: AdamW(RATE(0.1), weight_decay=1e-5),
    "LARS": lambda: LARS(RATE(0.1), trust_coefficient=0.02),
    "LAMB": lambda: LAMB(RATE(0.02)),
}


def descend(optimizer, gradient, start, updates):
    """Where `updates` updates lead from `start`."""
    weight = keras.Variable(start, dtype="float64")
    optimizer.build([weight])

    def update(step):
        optimizer.apply([gradient(weight.value)], [weight])
        return (step + 1,)

    tf.function(lambda: tf.while_loop(lambda step: step < updates, update, (0,)))()
    return weight.numpy()


def gradient_of(function):
    def gradient(w):
        w = tf.convert_to_tensor(w)
        with tf.GradientTape() as tape:
            tape.watch(w)
            value = function(w)
        return tape.gradient(value, w)

    return gradient


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_minimises(name, function):
    f, start, share = FUNCTIONS[function]
    end = descend(OPTIMIZERS[name](), gradient_of(f), start, UPDATES)
    assert f(end) < share * f(start)


def test_the_effective_rate_of_adagrad_only_falls():
    optimizer, weight = Adagrad(0.1), keras.Variable(np.zeros(50), dtype="float64")
    optimizer.build([weight])
    rates = []
    for gradient in np.random.RandomState(0).normal(size=(30, 50)):
        optimizer.apply([tf.constant(gradient)], [weight])
        rates.append(0.1 / np.sqrt(optimizer.state["accumulator"][0].numpy()))
    assert np.all(np.diff(rates, axis=0) < 0)


def test_rmsprop_recovers_from_a_steep_region_where_adagrad_stalls():
    """A wall of slope 100 above 0, then a plain of slope 0.1 down to -5: after the wall AdaGrad's rate is spent."""
    slope = lambda x: tf.where(x > 0, tf.ones_like(x) * 100, tf.where(x > -5, tf.ones_like(x) * 0.1, tf.zeros_like(x)))
    assert -0.1 < descend(Adagrad(0.1), slope, [1.0], 1000)[0] < 0
    assert descend(RMSprop(0.1), slope, [1.0], 1000)[0] < -5
