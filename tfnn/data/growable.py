"""Training data whose batches may grow under plain `model.fit`."""

import operator
import random
import threading
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfnn.controls import Controls
from tfnn.data.files import ImageFiles
from tfnn.random import permutation


def growable(
    x: Any, y: Any = None, batch_size: int = 32, *, sample_weight: Any = None, shuffle: bool = True, seed: int | None = None
) -> keras.utils.PyDataset:
    """Data for `model.fit`, in batches that tfnn's callbacks may make larger or smaller in the run.

    `tfnn.callbacks.BatchSizeScheduler` and others that steer the batch find it by themselves. Their batches are really
    larger, whatever their `mode`, and their memory is not measured before. Batches are read ahead, so their sizes are
    settled when an epoch begins: a function of the update is then asked for all updates of the epoch, and what a callback
    sets without a plan holds from the next epoch on.

    The order of examples is that of `tfnn.fit` with the same seed, a function of (seed, epoch), so that both give the same
    weights: with mode="rebatch" for BatchNorm and Keras's own random layers, too. tfnn's random layers draw for each example
    under `tfnn.fit`, which `model.fit` cannot do. `tfnn.fit` takes a growable in the place of (x, y, batch_size).

    Args:
        x, y, sample_weight: arrays with the examples first, or lists or dicts of them; or in place of x and y a
            `tf.data.Dataset` of single examples (x,), (x, y) or (x, y, sample_weight), which shuffles itself.
        batch_size: examples of an update at the start.
        shuffle: whether each epoch has an order of its own. That of `model.fit` has no effect.
        seed: an int in [0, 2³¹) from which, with the epoch, the order of examples follows; None draws one from Python's
            generator, which `keras.utils.set_random_seed` seeds.

    Returns:
        A `keras.utils.PyDataset`; for training only, as it gives examples in their shuffled order. Keras's `workers` are not
        for it.

    Raises:
        ValueError: for arrays of different length or without an example, a dataset whose length nobody knows, and arguments
            out of range.

    Example:
        >>> growth = tfnn.callbacks.BatchSizeScheduler({10: 64, 20: 128})
        >>> model.fit(tfnn.data.growable(x, y, batch_size=32), epochs=30, callbacks=[growth])
    """
    batch_size = integer("batch_size", batch_size, low=1)
    seed = random.randrange(2**31) if seed is None else integer("seed", seed, low=0)
    if isinstance(x, tf.data.Dataset):
        for name, value in ("y", y), ("sample_weight", sample_weight):
            if value is not None:
                raise ValueError(
                    f"{name} was given beside a tf.data.Dataset, which must hold it: (x, y) or (x, y, sample_weight)"
                )
        return Growable(Examples(x, batch_size), batch_size, shuffle, seed)
    return Growable(Rows(x, y, sample_weight), batch_size, shuffle, seed)


class Growable(keras.utils.PyDataset):
    """What `growable` gives.

    Keras counts its batches by an object that `num_batches` gives, and hands that to callbacks as params["steps"]; it
    shuffles the indices by itself, so batches are given in the order in which they are asked for.

    Args:
        source: `Rows` or `Examples`.
    """

    workers = property(lambda self: 1)  # several would ask for batches in no fixed order
    use_multiprocessing = property(lambda self: False)

    def __init__(self, source, batch_size, shuffle, seed):
        super().__init__()
        self.source, self.batch_size, self.shuffle, self.seed = source, batch_size, shuffle, seed
        self.controls = Controls(min(batch_size, source.rows), exact=True)
        self.thread = None
        self.restart()
        self.settle()

    def restart(self):
        """A run begins, at the first batch size."""
        self.controls.begin(self.source.rows, 0)
        self.epoch, self.begun, self.steering, self.params = 0, False, [], None

    def steered_by(self, callback, params):
        """Takes note of a callback of a run, which `params` are of."""
        if params is not self.params:
            self.restart()
            self.params = params
        self.steering.append(callback)

    @property
    def num_batches(self):
        if threading.get_ident() == self.thread:  # Keras sets up a run; in an epoch only the threads that read ask
            self.restart()
        return Steps(self)

    def on_epoch_begin(self):
        self.settle()
        self.source.begin(self.seed, self.epoch, self.shuffle)
        self.position, self.begun, self.thread = 0, True, threading.get_ident()

    def on_epoch_end(self):
        if self.begun:
            self.epoch, self.begun = self.epoch + 1, False

    def settle(self):
        """Settles where the batches of the epoch that begins end."""
        rows, self.ends = self.source.rows, [0]
        update = int(self.steering[0].model.optimizer.iterations) if self.steering else 0
        while self.ends[-1] < rows:
            self.last_size = self.size_at(update + len(self.ends) - 1)
            self.ends.append(min(self.ends[-1] + self.last_size, rows))

    def size_at(self, update):
        planned = (callback.planned(update) for callback in self.steering)
        size = next((size for size in planned if size is not None), self.controls.batch_size)
        self.controls.check(size)
        return size

    def arguments(self):
        """What `tfnn.fit` takes in the place of this: (x, y, sample_weight), batch_size, shuffle, seed."""
        return *self.source.arguments(self.batch_size), self.shuffle, self.seed

    def __getitem__(self, index):
        if not self.begun:  # Keras looks what a batch is
            return self.source.sample(index)
        self.position += 1
        return self.source.read(*self.ends[self.position - 1 : self.position + 1])


class Rows:
    """Examples of arrays."""

    def __init__(self, x, y, sample_weight):
        self.data = keras.tree.lists_to_tuples(keras.tree.map_structure(array, (x, y, sample_weight)))
        lengths = {len(a) for a in keras.tree.flatten(self.data) if a is not None}
        if x is None or len(lengths) != 1 or 0 in lengths:
            raise ValueError(
                f"growable needs arrays x, y and sample_weight of the same number of examples, got {sorted(lengths)}"
            )
        (self.rows,) = lengths
        self.given = 3 if sample_weight is not None else 2 if y is not None else 1

    def begin(self, seed, epoch, shuffle):
        self.order = permutation(self.rows, seed, epoch) if shuffle else np.arange(self.rows)

    def sample(self, index):
        return self.at([index % self.rows])

    def read(self, start, stop):
        return self.at(self.order[start:stop])

    def at(self, rows):
        return keras.tree.map_structure(lambda a: None if a is None else a[rows], self.data[: self.given])

    def arguments(self, batch_size):
        return self.data, batch_size


class Examples:
    """Examples that a `tf.data.Dataset` gives one by one.

    Args:
        chunk: of how many they are read at a time.
    """

    def __init__(self, dataset, chunk):
        self.rows, self.dataset, self.chunk = int(dataset.cardinality()), dataset, chunk
        if self.rows < 1:
            why = {tf.data.INFINITE_CARDINALITY: "no end", 0: "no example"}.get(self.rows, "a length that nobody knows")
            raise ValueError(
                f"growable needs a dataset of single examples whose number is known, this one has {why}:"
                " dataset.apply(tf.data.experimental.assert_cardinality(number))"
            )

    def begin(self, seed, epoch, shuffle):
        self.chunks, self.held = iter(self.dataset.batch(self.chunk)), None

    def sample(self, index):
        """Zeros like a batch, as reading one would have a shuffled dataset take another order. Open lengths are `index` + 1."""
        zeros = lambda spec: tf.zeros([1, *(index + 1 if size is None else size for size in spec.shape)], spec.dtype)
        return tuple_of(tf.nest.map_structure(zeros, self.dataset.element_spec))

    def read(self, start, stop):
        parts = [] if self.held is None else [self.held]
        while sum(count(part) for part in parts) < stop - start:
            parts.append(next(self.chunks))
        joined = parts[0] if len(parts) == 1 else tf.nest.map_structure(lambda *parts: tf.concat(parts, 0), *parts)
        part = lambda begin, end: tf.nest.map_structure(lambda a: a[begin:end], joined)
        self.held = part(stop - start, None)
        return tuple_of(part(0, stop - start))

    def arguments(self, batch_size):
        return (self.dataset.batch(batch_size), None, None), None


class Steps:
    """The number of batches of the epoch that a `growable` is in, as an integer that follows it."""

    def __init__(self, growable):
        self.growable = growable

    def __index__(self):
        return len(self.growable.ends) - 1

    __int__ = __hash__ = __index__

    def __float__(self):
        return float(int(self))

    def __bool__(self):
        return True

    def __repr__(self):
        return repr(int(self))


def follow(operation):
    return lambda self, other: operation(int(self), other), lambda self, other: operation(other, int(self))


for name in "add", "sub", "mul", "truediv", "floordiv", "mod":
    forward, reflected = follow(getattr(operator, name))
    setattr(Steps, f"__{name}__", forward)
    setattr(Steps, f"__r{name}__", reflected)
for name in "eq", "ne", "lt", "le", "gt", "ge":
    setattr(Steps, f"__{name}__", follow(getattr(operator, name))[0])


def array(a):
    if a is None or isinstance(a, ImageFiles):
        return a
    if isinstance(a, (tf.RaggedTensor, tf.SparseTensor)) or hasattr(a, "tocoo") or not hasattr(a, "__array__"):
        raise ValueError(f"growable takes dense arrays, got {type(a).__name__}: give a tf.data.Dataset of single examples")
    a = np.asarray(a.to_frame() if hasattr(a, "to_frame") else a)  # pandas's Series is a column, as in Keras
    return a.astype(keras.config.floatx(), copy=False) if np.issubdtype(a.dtype, np.floating) else a


def integer(name, value, low):
    if isinstance(value, bool) or not hasattr(value, "__index__") or not low <= operator.index(value) < 2**31:
        raise ValueError(f"{name}={value!r} must be an integer of at least {low} and below 2**31")
    return operator.index(value)


def tuple_of(batch):
    return batch if isinstance(batch, tuple) else (batch,)


def count(batch):
    return tf.nest.flatten(batch)[0].shape[0]
