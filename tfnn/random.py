"""Random numbers as a function of (seed, epoch, example): a run repeats bit for bit, and can be resumed at any point."""

import contextlib
import contextvars
import itertools
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

_scope: contextvars.ContextVar[tuple | None] = contextvars.ContextVar("tfnn_random_scope", default=None)


def permutation(rows: int, seed: int, epoch: int) -> np.ndarray:
    """The order of `rows` examples in one epoch: an int32 array (rows,), the same on every device and machine.

    It is drawn on the host from the Philox counter generator (Salmon et al. 2011) with (seed, epoch) as its key. A million
    rows take 17 ms; to sort as many stateless uniform numbers, TensorFlow takes over 100 ms (its `StatelessShuffle` has no
    XLA kernel). `RandomState` is used because its algorithms are frozen; those of `Generator` may change.

    Example:
        >>> order = tfnn.random.permutation(1000, seed=1, epoch=0)
    """
    return np.random.RandomState(np.random.Philox(key=[seed, epoch])).permutation(rows).astype(np.int32)


@contextlib.contextmanager
def scope(seed: int | tf.Tensor, epoch: int | tf.Tensor, examples: tf.Tensor) -> Iterator[None]:
    """Inside the block, random layers draw for each example as a function of (seed, epoch, example).

    The draws of a block are numbered, so that two layers do not get the same random numbers. The layers' names would not do:
    Keras counts them up, and the same model, built again, would draw other numbers.

    Args:
        seed, epoch: int32 scalars, numbers or tensors.
        examples: an int32 tensor (B,), the positions of the batch's examples in the training data.

    Example:
        >>> with tfnn.random.scope(seed=1, epoch=0, examples=tf.range(32)):
        ...     dropped = tfnn.layers.Dropout(0.5)(tf.ones((32, 8)), training=True)
    """
    token = _scope.set((seed, epoch, examples, itertools.count()))
    try:
        yield
    finally:
        _scope.reset(token)


def in_scope() -> bool:
    """Whether a `scope` is open.

    Example:
        >>> tfnn.random.in_scope()  # False
    """
    return _scope.get() is not None


def uniforms(rows: int | tf.Tensor, count: int | tf.Tensor, seed_generator: keras.random.SeedGenerator) -> tf.Tensor:
    """Uniform numbers in [0, 1), float32 (rows, count): a function of the `scope` and the example, or else of a fresh seed.

    Each number has its own counter and key. So it matters neither how examples are gathered into batches, nor whether the
    draw runs eagerly, in a graph or under XLA.

    Args:
        rows: examples, an int or a scalar tensor.
        count: numbers for each example, an int.
        seed_generator: a `keras.random.SeedGenerator`, which gives the seed where no scope is open.

    Example:
        >>> u = tfnn.random.uniforms(32, 2, keras.random.SeedGenerator(1))  # (32, 2)
    """
    current = _scope.get()
    if current is None:
        key = tf.cast(seed_generator.next(), tf.uint32)
        examples = tf.range(rows)
    else:
        seed, epoch, examples, draws = current
        seed, epoch = (tf.cast(tf.convert_to_tensor(part), tf.uint32) for part in (seed, epoch))
        key = threefry(seed, epoch, tf.constant(next(draws), tf.uint32), tf.constant(0, tf.uint32))
    x0 = tf.broadcast_to(tf.cast(examples, tf.uint32)[:, None], (tf.shape(examples)[0], count))
    x1 = tf.broadcast_to(tf.range(count, dtype=tf.int32)[None], tf.shape(x0))
    bits, _ = threefry(key[0], key[1], x0, tf.cast(x1, tf.uint32))
    return tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.float32) * 2.0**-24


ROTATIONS = (13, 15, 26, 6), (17, 29, 16, 24)


def threefry(k0, k1, x0, x1):
    """Threefry-2x32 with 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): two uint32 tensors."""
    rotate = lambda x, r: tf.bitwise.bitwise_or(
        tf.bitwise.left_shift(x, tf.constant(r, tf.uint32)), tf.bitwise.right_shift(x, tf.constant(32 - r, tf.uint32))
    )
    xor = tf.bitwise.bitwise_xor
    keys = k0, k1, xor(xor(k0, k1), tf.constant(0x1BD11BDA, tf.uint32))
    x0, x1 = x0 + keys[0], x1 + keys[1]
    for block in range(5):
        for r in ROTATIONS[block % 2]:
            x0 = x0 + x1
            x1 = xor(rotate(x1, r), x0)
        x0 = x0 + keys[(block + 1) % 3]
        x1 = x1 + keys[(block + 2) % 3] + tf.constant(block + 1, tf.uint32)
    return x0, x1
