"""Every optimizer against numpy, written from its paper: 20 random steps, several shapes, the hyper-parameters' product."""

import inspect
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfnn.optimizers import LAMB, LARS, SGD, Adagrad, Adam, AdamW, RMSprop

STEPS, SHAPES = 20, [(), (5,), (3, 4), (2, 3, 4, 5)]


def draw(shape, seed, steps=()):
    return np.random.RandomState(seed).normal(size=(*steps, *shape)).astype(np.float32)


def runs(optimizer, shapes, dtype="float32"):
    """A weight of each shape after each update, of all of them in one graph; their gradients are given."""
    weights = [keras.Variable(draw(shape, 8), dtype=dtype) for shape in shapes]
    optimizer.build(weights)
    update = tf.function(lambda *gradients: optimizer.apply(list(gradients), weights))
    paths = [[] for _ in shapes]
    for gradients in zip(*(draw(shape, 7, (STEPS,)) for shape in shapes)):
        update(*(tf.constant(g, dtype) for g in gradients))
        for path, weight in zip(paths, weights):
            path.append(keras.ops.convert_to_numpy(weight).astype(np.float64))
    return [np.array(path) for path in paths]


def run(optimizer, shape, dtype="float32"):
    return runs(optimizer, [shape], dtype)[0]


def reference(rule, shape, **numbers):
    """`rule(θ, g, t, state)` in float64 from the same start along the same gradients; `state` is a dict that starts empty."""
    theta, state, path = draw(shape, 8).astype(np.float64), {}, []
    for t, g in enumerate(draw(shape, 7, (STEPS,)).astype(np.float64), start=1):
        theta = rule(theta, g, t, state, **numbers)
        path.append(theta)
    return np.array(path)


def duchi(theta, g, t, s, eta, start=0.1, delta=1e-7):
    """Goodfellow et al. 2016, Algorithm 8.4, with r starting at `start`."""
    s["r"] = s.get("r", start) + g * g
    return theta - eta / (delta + np.sqrt(s["r"])) * g


def hinton(theta, g, t, s, eta, rho=0.9, mu=0.0, delta=1e-7):
    """Goodfellow et al. 2016, Algorithms 8.5 and (with momentum) 8.6."""
    s["r"] = rho * s.get("r", 0.0) + (1 - rho) * g * g
    s["v"] = mu * s.get("v", 0.0) - eta / np.sqrt(delta + s["r"]) * g
    return theta + s["v"]


def graves(theta, g, t, s, eta, rho=0.95, mu=0.9, delta=1e-4):
    """Graves 2013, eq. 38 to 41."""
    s["n"] = rho * s.get("n", 0.0) + (1 - rho) * g**2
    s["g"] = rho * s.get("g", 0.0) + (1 - rho) * g
    s["d"] = mu * s.get("d", 0.0) - eta * g / np.sqrt(s["n"] - s["g"] ** 2 + delta)
    return theta + s["d"]


def moments(g, t, s, b1, b2):
    s["m"] = b1 * s.get("m", 0.0) + (1 - b1) * g
    s["v"] = b2 * s.get("v", 0.0) + (1 - b2) * g * g
    return s["m"] / (1 - b1**t), s["v"] / (1 - b2**t)


def kingma(theta, g, t, s, eta, b1=0.9, b2=0.999, eps=1e-7):
    """Kingma & Ba 2015, Algorithm 1."""
    m, v = moments(g, t, s, b1, b2)
    return theta - eta * m / (np.sqrt(v) + eps)


def epsilon_hat(theta, g, t, s, eta, b1=0.9, b2=0.999, eps=1e-7):
    """Kingma & Ba 2015, end of section 2: what Keras computes."""
    moments(g, t, s, b1, b2)
    return theta - eta * np.sqrt(1 - b2**t) / (1 - b1**t) * s["m"] / (np.sqrt(s["v"]) + eps)


def slide(theta, g, t, s, eta, b1=0.9, b2=0.999, eps=1e-7):
    """The lecture's slide: δ inside the root."""
    m, v = moments(g, t, s, b1, b2)
    return theta - eta * m / np.sqrt(v + eps)


def reddi(theta, g, t, s, eta, b1=0.9, b2=0.999, eps=1e-7):
    """Reddi et al. 2018, with bias corrections outside the maximum."""
    m, _ = moments(g, t, s, b1, b2)
    s["top"] = np.maximum(s.get("top", 0.0), s["v"])
    return theta - eta * m / (np.sqrt(s["top"] / (1 - b2**t)) + eps)


def loshchilov(theta, g, t, s, eta, b1=0.9, b2=0.999, eps=1e-7, lam=0.004):
    """Loshchilov & Hutter 2019, Algorithm 2, with α = η and its schedule's λ multiplied by η, as libraries have it."""
    return kingma(theta, g, t, s, eta, b1, b2, eps) - eta * lam * theta


def coupled(theta, g, t, s, eta, lam, **numbers):
    """Adam on the loss with an L2 term: what AdamW is not."""
    return kingma(theta, g + lam * theta, t, s, eta, **numbers)


def you_2017(theta, g, t, s, gamma, mu=0.9, beta=0.0, eta=0.001):
    """You, Gitman & Ginsburg 2017, Algorithm 1."""
    rate = eta * np.linalg.norm(theta) / (np.linalg.norm(g) + beta * np.linalg.norm(theta))
    s["v"] = mu * s.get("v", 0.0) + gamma * rate * (g + beta * theta)
    return theta - s["v"]


def uncoupled(theta, g, t, s, gamma, mu=0.9, beta=0.0, eta=0.001):
    """LARS with its decay outside momentum and ratio."""
    return you_2017(theta, g, t, s, gamma, mu, 0.0, eta) - gamma * beta * theta


def you_2019(theta, g, t, s, eta, b1=0.9, b2=0.999, eps=1e-7, lam=0.0):
    """You et al. 2019, Algorithm 2, φ the identity."""
    m, v = moments(g, t, s, b1, b2)
    step = m / (np.sqrt(v) + eps) + lam * theta
    return theta - eta * np.linalg.norm(theta) / np.linalg.norm(step) * step


def decay_outside(theta, g, t, s, eta, lam, **numbers):
    """Keras's Lamb: the decay before the update, outside the trust ratio."""
    return you_2019(theta - eta * lam * theta, g, t, s, eta, **numbers)


def product(**values):
    return [dict(zip(values, combination)) for combination in itertools.product(*values.values())]


BETAS = {"b1": (0.9, 0.5), "b2": (0.999, 0.9), "eps": (1e-7, 0.1)}
NAMES = {"b1": "beta_1", "b2": "beta_2", "eps": "epsilon", "lam": "weight_decay", "rho": "rho", "mu": "momentum"}
NAMES |= {"delta": "epsilon", "start": "initial_accumulator_value", "beta": "weight_decay", "eta": "learning_rate"}
LARS_NAMES = {**NAMES, "gamma": "learning_rate", "eta": "trust_coefficient"}

# class, options, names of the reference's numbers, reference, numbers, neighbours that must differ
TABLE = [
    (Adagrad, {}, NAMES, duchi, product(eta=(0.01, 0.5), start=(0.1, 1e-3), delta=(1e-7, 0.1)), [hinton]),
    (RMSprop, {}, NAMES, hinton, product(eta=(0.01, 0.2), rho=(0.9, 0.5), mu=(0.0, 0.9), delta=(1e-7, 0.1)), [duchi, graves]),
    (
        RMSprop,
        {"centered": True},
        NAMES,
        graves,
        product(eta=(0.01, 0.2), rho=(0.95, 0.5), mu=(0.0, 0.9), delta=(1e-2, 0.1)),
        [hinton],
    ),
    (Adam, {}, NAMES, kingma, product(eta=(0.001, 0.1), **BETAS), [slide, reddi, loshchilov]),
    (Adam, {"epsilon_in_root": True}, NAMES, slide, product(eta=(0.1,), b1=(0.9,), b2=(0.999, 0.9), eps=(1e-2, 0.1)), [kingma]),
    (Adam, {"amsgrad": True}, NAMES, reddi, product(eta=(0.001, 0.1), **BETAS), [kingma]),
    (AdamW, {}, NAMES, loshchilov, product(eta=(0.001, 0.1), lam=(0.1, 0.4), **BETAS), [coupled]),
    (LARS, {}, LARS_NAMES, you_2017, product(gamma=(0.1, 1.0), mu=(0.0, 0.9), beta=(5e-4, 0.1), eta=(0.001, 0.1)), [uncoupled]),
    (LAMB, {}, NAMES, you_2019, product(eta=(0.001, 0.1), lam=(0.01, 0.1), **BETAS), [loshchilov, decay_outside]),
]
CASES = [pytest.param(*row[:4], numbers, id=f"{row[3].__name__}-{i}") for row in TABLE for i, numbers in enumerate(row[4])]
NEIGHBOURS = [pytest.param(*row[:5], other, id=f"{row[3].__name__}-{other.__name__}") for row in TABLE for other in row[5]]


def close(a, b):
    return np.allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cls, options, names, rule, numbers", CASES)
def test_follows_its_paper(cls, options, names, rule, numbers):
    optimizer = cls(**options, **{names[letter]: value for letter, value in numbers.items()})
    for shape, ours in zip(SHAPES, runs(optimizer, SHAPES)):
        np.testing.assert_allclose(ours, reference(rule, shape, **numbers), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cls, options, names, rule, product, other", NEIGHBOURS)
def test_a_neighbour_fails_at_the_same_tolerance(cls, options, names, rule, product, other):
    """With the largest ε and the shortest memory of the product: with a tiny ε many of them are the same rule."""
    numbers = product[-1]
    ours = run(cls(**options, **{names[letter]: value for letter, value in numbers.items()}), (3, 4))
    takes = inspect.signature(other).parameters
    numbers = {letter: value for letter, value in numbers.items() if letter in takes or "numbers" in takes}
    assert not close(ours, reference(other, (3, 4), **numbers))


def test_adam_is_algorithm_1_where_keras_has_epsilon_hat():
    ours, theirs = run(Adam(0.1, epsilon=0.01), (3, 4)), run(keras.optimizers.Adam(0.1, epsilon=0.01), (3, 4))
    np.testing.assert_allclose(theirs, reference(epsilon_hat, (3, 4), eta=0.1, eps=0.01), rtol=1e-5, atol=1e-5)
    assert not close(ours, theirs)
    np.testing.assert_allclose(run(Adam(0.1), (3, 4)), run(keras.optimizers.Adam(0.1), (3, 4)), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "cls, rule, options",
    [(Adagrad, duchi, {"initial_accumulator_value": 0.0}), (RMSprop, hinton, {})],
    ids=["AdaGrad", "RMSProp"],
)
def test_epsilon_0_is_the_slides_rule_and_leaves_a_weight_without_gradient(cls, rule, options):
    slide = reference(rule, (3, 4), eta=0.01, delta=0.0, **({"start": 0.0} if options else {}))
    np.testing.assert_allclose(run(cls(0.01, epsilon=0.0, **options), (3, 4)), slide, rtol=1e-5, atol=1e-5)
    weight, optimizer = keras.Variable([1.0, 1.0]), cls(0.01, epsilon=0.0, **options)
    optimizer.apply([tf.constant([0.0, 1e-12])], [weight])
    assert weight[0] == 1 and weight[1] < 0.995


def test_adam_epsilon_0_leaves_a_weight_without_gradient():
    weight = keras.Variable([1.0, 1.0])
    Adam(0.01, epsilon=0.0).apply([tf.constant([0.0, 1e-12])], [weight])
    np.testing.assert_allclose(weight.numpy(), [1, 0.99], rtol=1e-4)


OPTIMIZERS = [
    lambda: SGD(0.1, 0.9),
    lambda: Adagrad(0.1),
    lambda: RMSprop(0.1),
    lambda: RMSprop(0.1, momentum=0.9, centered=True, epsilon=0.01),
    lambda: Adam(0.1),
    lambda: AdamW(0.1, weight_decay=0.1),
]


@pytest.mark.parametrize("make", OPTIMIZERS, ids=lambda make: type(make()).__name__)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rule_and_kernel_agree(make, dtype):
    by_kernel, by_rule = make(), make()
    assert by_kernel.fused
    object.__setattr__(by_rule, "__class__", type("ByRule", (type(by_rule),), {"fused": False}))
    np.testing.assert_allclose(run(by_kernel, (3, 4), dtype), run(by_rule, (3, 4), dtype), rtol=2e-5, atol=2e-6)


def test_momentum_0_is_plain_rmsprop_and_beta_1_0_is_bias_corrected_rmsprop():
    """RMSProp with its average divided by 1 − ρ^t is Adam without the first moment."""

    def corrected(theta, g, t, s, eta, rho, eps):
        s["r"] = rho * s.get("r", 0.0) + (1 - rho) * g * g
        return theta - eta * g / (np.sqrt(s["r"] / (1 - rho**t)) + eps)

    expected = reference(corrected, (3, 4), eta=0.05, rho=0.9, eps=1e-7)
    np.testing.assert_allclose(run(Adam(0.05, beta_1=0.0, beta_2=0.9), (3, 4)), expected, rtol=1e-5, atol=1e-5)


def test_lamb_with_trust_ratio_1_and_no_decay_is_adam():
    optimizer = LAMB(0.1)
    optimizer.exclude_from_adaptation(var_names=["."])
    np.testing.assert_allclose(run(optimizer, (3, 4)), run(Adam(0.1), (3, 4)), rtol=1e-5, atol=1e-6)
    assert not close(run(LAMB(0.1), (3, 4)), run(Adam(0.1), (3, 4)))


def test_lars_without_adaptation_is_sgd_with_momentum():
    optimizer = LARS(0.1, 0.9)
    optimizer.exclude_from_adaptation(var_names=["."])
    np.testing.assert_allclose(run(optimizer, (3, 4)), run(SGD(0.1, 0.9), (3, 4)), rtol=1e-5, atol=1e-6)


def test_adamw_without_decay_is_adam():
    np.testing.assert_array_equal(run(AdamW(0.1, weight_decay=0.0), (3, 4)), run(Adam(0.1), (3, 4)))


@pytest.mark.parametrize("cls", [LARS, LAMB])
def test_a_zero_weight_leaves_zero_and_names_are_excluded(cls):
    zero, bias, kernel = (
        keras.Variable(value, name=name) for value, name in ((np.zeros(3), "z"), (np.ones(3), "bias"), (np.ones(3), "k"))
    )
    optimizer = cls(0.1, weight_decay=0.5)
    optimizer.exclude_from_adaptation(var_names=["bias"])
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.apply([tf.fill([3], 0.01)] * 3, [zero, bias, kernel])
    alone = keras.Variable(np.ones(3))
    plain = SGD(0.1) if cls is LARS else Adam(0.1)
    plain.apply([tf.fill([3], 0.01)], [alone])
    np.testing.assert_allclose(bias.numpy(), alone.numpy(), rtol=1e-6)
    np.testing.assert_allclose(zero.numpy(), alone.numpy() - 1, rtol=1e-5)  # ratio 1, and no decay at 0
    assert not np.allclose(kernel.numpy(), bias.numpy(), rtol=1e-6)
