"""One update of ResNet-50's 25.6 million parameters in 214 tensors: Keras, Keras under XLA, optax, PyTorch.

Memory traffic bounds it: the last rows give the share of the bandwidth of a plain copy that an update reaches.
"""

import concurrent.futures
import importlib.util
import os
import statistics

import keras
import numpy as np
import tensorflow as tf

import tfnn
from tests.benchmarks.timing import Row, compare, seconds

UPDATES = 4  # in one call, so that the cost of the call itself is shared

# name: (class, options, floats that one parameter's update moves: reads of w, g and the slots, writes of w and the slots)
OPTIMIZERS = {
    "Adam": ("Adam", {}, 7),
    "SGD, momentum": ("SGD", {"momentum": 0.9}, 5),
    "SGD, Nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}, 5),
    "RMSprop": ("RMSprop", {}, 7),
    "Adagrad": ("Adagrad", {}, 5),
}


def rows():
    shapes = [tuple(w.shape) for w in keras.applications.ResNet50(weights=None).trainable_variables]
    installed = {name for name in ("torch", "jax", "optax") if importlib.util.find_spec(name)}
    for name, (cls, options, floats) in OPTIMIZERS.items():
        ours = in_tensorflow(getattr(tfnn.optimizers, cls)(**options), shapes)
        theirs = getattr(keras.optimizers, cls)
        rivals = {"Keras": in_tensorflow(theirs(**options), shapes)}
        rivals["Keras, jit_compile=True"] = in_tensorflow(theirs(**options), shapes, jit_compile=True)
        if {"jax", "optax"} <= installed:
            rivals["optax under jit"] = in_optax(cls, options, shapes)
        if "torch" in installed:
            rivals["PyTorch, fused" if cls in ("Adam", "SGD", "Adagrad") else "PyTorch"] = in_torch(cls, options, shapes)
        yield from compare(name, ours, rivals, unit="ms/update", scale=1e3 / UPDATES, rounds=15, rest=0.3)
        yield bandwidth(name, ours, floats * 4 * sum(map(np.prod, shapes)))


def arrays(shapes, seed):
    random = np.random.default_rng(seed)
    return [random.standard_normal(shape, "float32") for shape in shapes]


def in_tensorflow(optimizer, shapes, jit_compile=False):
    weights = [keras.Variable(array) for array in arrays(shapes, 0)]
    gradients = [tf.constant(array) for array in arrays(shapes, 1)]
    optimizer.build(weights)

    def update(step):
        optimizer.apply(gradients, weights)
        return (step + 1,)

    return tf.function(lambda: tf.while_loop(lambda step: step < UPDATES, update, (0,)), jit_compile=jit_compile)


def in_optax(cls, options, shapes):
    import jax
    import optax

    mu, nesterov = options.get("momentum"), options.get("nesterov", False)
    optimizer = {
        "Adam": lambda: optax.adam(0.001, eps=1e-7),
        "SGD": lambda: optax.sgd(0.01, momentum=mu, nesterov=nesterov),
        "RMSprop": lambda: optax.rmsprop(0.001, decay=0.9, eps=1e-7),
        "Adagrad": lambda: optax.adagrad(0.001, eps=1e-7),
    }[cls]()
    weights, gradients = ([jax.numpy.asarray(array) for array in arrays(shapes, seed)] for seed in (0, 1))
    state = weights, optimizer.init(weights)

    def update(_, state):
        weights, slots = state
        changes, slots = optimizer.update(gradients, slots, weights)
        return optax.apply_updates(weights, changes), slots

    run = jax.jit(lambda state: jax.lax.fori_loop(0, UPDATES, update, state), donate_argnums=0)

    def call():
        nonlocal state
        state = jax.block_until_ready(run(state))

    return call


def in_torch(cls, options, shapes):
    import torch

    weights = [torch.nn.Parameter(torch.from_numpy(array)) for array in arrays(shapes, 0)]
    for weight, gradient in zip(weights, arrays(shapes, 1)):
        weight.grad = torch.from_numpy(gradient)
    fused = {} if cls == "RMSprop" else {"fused": True}
    optimizer = getattr(torch.optim, cls)(weights, lr=0.001, **options, **fused)
    return lambda: [optimizer.step() for _ in range(UPDATES)]


def bandwidth(name, update, size, rounds=9):
    """GB/s of an update of `size` bytes against those of a copy of an array as large, by all cores; ratio is the share."""
    count = os.cpu_count()
    source, target = np.ones(size // 16), np.empty(size // 16)  # 8 bytes read and 8 written each
    parts = [slice(i * len(source) // count, (i + 1) * len(source) // count) for i in range(count)]
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        copy = lambda: list(pool.map(lambda part: np.copyto(target[part], source[part]), parts))
        copy()
        pairs = [(seconds(update, 0.3) / UPDATES, seconds(copy, 0.3)) for _ in range(rounds)]
    ours, peer = (size / 1e9 / statistics.median(side) for side in zip(*pairs))
    return Row(name, "a copy: share of its bandwidth", ours, peer, "GB/s", statistics.median(b / a for a, b in pairs))
