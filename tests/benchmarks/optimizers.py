"""One update of ResNet-50's 25.6 million parameters in 214 tensors: Keras, Keras under XLA, optax, PyTorch.

Memory traffic bounds it: the last rows give the share of the bandwidth of a plain copy that an update reaches. Each side
runs in a process of its own, which waits while the other is timed: in one process, the threads and the allocator of
one library slow the next by up to a third.
"""

import concurrent.futures
import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys

import numpy as np

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
    import keras

    shapes = [tuple(w.shape) for w in keras.applications.ResNet50(weights=None).trainable_variables]
    sides = ["Keras", "Keras, jit_compile=True"]
    if importlib.util.find_spec("optax"):
        sides.append("optax under jit")
    if importlib.util.find_spec("torch"):
        sides.append("PyTorch, fused")
    for name, (cls, options, floats) in OPTIMIZERS.items():
        with contextlib.ExitStack() as stack:
            side = lambda name: stack.enter_context(process(name, cls, options, shapes))
            ours = side("tfnn")
            for peer in sides:
                yield from compare(name, ours, {peer: side(peer)}, unit="ms/update", scale=1e3 / UPDATES, rounds=15)
            yield bandwidth(name, ours, floats * 4 * sum(map(np.prod, shapes)))


@contextlib.contextmanager
def process(side, cls, options, shapes):
    """A function that makes a process of its own run `UPDATES` updates."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.optimizers"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def call(line="go"):
        print(line, file=worker.stdin, flush=True)
        if worker.stdout.readline() != "done\n":
            raise RuntimeError(f"the process of {side} has ended")

    call(json.dumps([side, cls, options, shapes]))
    try:
        yield call
    finally:
        worker.stdin.close()
        worker.wait()


def work():
    """What the process does: a call for each line of its input."""
    side, cls, options, shapes = json.loads(sys.stdin.readline())
    make = {"optax under jit": in_optax, "PyTorch, fused": in_torch}.get(side, in_tensorflow)
    call = make(cls, options, shapes, side)
    call()
    print("done", flush=True)
    for _ in sys.stdin:
        call()
        print("done", flush=True)


def arrays(shapes, seed):
    random = np.random.default_rng(seed)
    return [random.standard_normal(shape, "float32") for shape in shapes]


def in_tensorflow(cls, options, shapes, side):
    import keras
    import tensorflow as tf

    import tfnn

    optimizer = getattr(tfnn.optimizers if side == "tfnn" else keras.optimizers, cls)(**options)
    weights = [keras.Variable(array) for array in arrays(shapes, 0)]
    gradients = [tf.constant(array) for array in arrays(shapes, 1)]
    optimizer.build(weights)

    def update(step):
        optimizer.apply(gradients, weights)
        return (step + 1,)

    run = lambda: tf.while_loop(lambda step: step < UPDATES, update, (0,))
    return tf.function(run, jit_compile="jit_compile" in side)


def in_optax(cls, options, shapes, side):
    import jax
    import optax

    optimizer = {
        "Adam": lambda: optax.adam(0.001, eps=1e-7),
        "SGD": lambda: optax.sgd(0.01, **options),
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


def in_torch(cls, options, shapes, side):
    import torch

    weights = [torch.nn.Parameter(torch.from_numpy(array)) for array in arrays(shapes, 0)]
    for weight, gradient in zip(weights, arrays(shapes, 1)):
        weight.grad = torch.from_numpy(gradient)
    fused = {} if cls == "RMSprop" else {"fused": True}  # PyTorch has no fused RMSprop
    optimizer = getattr(torch.optim, cls)(weights, lr=0.001, **options, **fused)
    return lambda: [optimizer.step() for _ in range(UPDATES)]


def bandwidth(name, update, size, rounds=9):
    """GB/s of an update of `size` bytes against those of a copy of as many bytes, by all cores; the ratio is the share."""
    count = os.cpu_count()
    source, target = np.ones(size // 16), np.empty(size // 16)  # 8 bytes read and 8 written each
    parts = [slice(i * len(source) // count, (i + 1) * len(source) // count) for i in range(count)]
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        copy = lambda: list(pool.map(lambda part: np.copyto(target[part], source[part]), parts))
        copy()
        pairs = [(seconds(update) / UPDATES, seconds(copy)) for _ in range(rounds)]
    ours, peer = (size / 1e9 / statistics.median(side) for side in zip(*pairs))
    return Row(name, "a copy: share of its bandwidth", ours, peer, "GB/s", statistics.median(b / a for a, b in pairs))


if __name__ == "__main__":
    work()
