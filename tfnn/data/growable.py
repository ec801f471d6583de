"""Training data whose batches can grow in a run of plain `model.fit`."""

import operator
import random
import threading
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfnn.checks import int32
from tfnn.controls import Controls
from tfnn.controls.nested import updates_of
from tfnn.data.files import ImageFiles
from tfnn.random import permutation


def growable(
    x: Any, y: Any = None, batch_size: int = 32, *, sample_weight: Any = None, shuffle: bool = True, seed: int | None = None
) -> keras.utils.PyDataset:
    """Data for `model.fit` in batches that tfnn's callbacks can make larger or smaller during the run.

    `tfnn.callbacks.BatchSizeScheduler` and the other callbacks that steer the batch size find it by themselves. The batches
    really become larger, whatever the callback's `mode`, and no memory is measured beforehand. Keras reads batches ahead, so
    all sizes of an epoch are fixed when it begins: a schedule is asked for every update of the epoch, and a size that a
    callback sets without a schedule holds from the next epoch on.

    The order of examples is a function of (seed, epoch), the same as in `tfnn.fit`, so that both give the same weights; for
    BatchNorm and Keras's own random layers this needs mode="rebatch". tfnn's random layers draw for each example
    under `tfnn.fit`, which `model.fit` cannot do. `tfnn.fit` takes a growable in place of (x, y, batch_size).

    Args:
        x, y, sample_weight: arrays with the examples along the first axis, or lists or dicts of them. In place of x and y, a
            `tf.data.Dataset` of single examples (x,), (x, y) or (x, y, sample_weight), which shuffles by itself.
        batch_size: examples per update at the start.
        shuffle: whether each epoch has an order of its own. The `shuffle` of `model.fit` has no effect.
        seed: an int in [0, 2³¹) for the order of examples; None draws one from Python's generator, which
            `keras.utils.set_random_seed` seeds.

    Returns:
        A `keras.utils.PyDataset`, for training only, because its examples come shuffled. It ignores Keras's `workers`.

    Raises:
        ValueError: if arrays are empty or differ in length, if the length of a dataset is unknown, or if an argument is out
            of range.

    Example:
        >>> growth = tfnn.callbacks.BatchSizeScheduler({10: 64, 20: 128})
        >>> model.fit(tfnn.data.growable(x, y, batch_size=32), epochs=30, callbacks=[growth])
    """
    batch_size = int32("batch_size", batch_size, low=1)
    seed = random.randrange(2**31) if seed is None else int32("seed", seed, low=0)
    if isinstance(x, tf.data.Dataset):
        for name, value in ("y", y), ("sample_weight", sample_weight):
            if value is not None:
                raise ValueError(
                    f"{name} was given beside a tf.data.Dataset, which must hold it: (x, y) or (x, y, sample_weight)"
                )
        return Growable(Examples(x, batch_size), batch_size, shuffle, seed)
    return Growable(Rows(x, y, sample_weight), batch_size, shuffle, seed)


class Growable(keras.utils.PyDataset):
    """The result of `growable`.

    Keras counts batches with the object that `num_batches` returns, and passes it to callbacks as params["steps"]. Keras
    shuffles the indices, so an index is ignored: batches come in the order of the requests.

    Args:
        source: `Rows` or `Examples`.
    """

    workers = property(lambda self: 1)  # several workers would ask for batches in no fixed order
    use_multiprocessing = property(lambda self: False)

    def __init__(self, source, batch_size, shuffle, seed):
        super().__init__()
        self.source, self.batch_size, self.shuffle, self.seed = source, batch_size, shuffle, seed
        self.controls = Controls(min(batch_size, source.rows), exact=True)
        self.thread = None
        self.restart()
        self.settle()

    def restart(self):
        """Begins a run, at the first batch size."""
        self.controls.begin(self.source.rows, 0)
        self.epoch, self.begun, self.steering, self.params = 0, False, [], None

    def steered_by(self, callback, params):
        """Takes note of a callback; `params` are those that Keras gave it, the same object throughout a run."""
        if params is not self.params:
            self.restart()
            self.params = params
        self.steering.append(callback)

    @property
    def num_batches(self):
        if threading.get_ident() == self.thread:  # Keras sets up a run; during an epoch only its reading threads ask
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
        """Fixes where each batch of the new epoch ends."""
        rows, self.ends = self.source.rows, [0]
        update = updates_of(self.steering[0].model) if self.steering else 0
        while self.ends[-1] < rows:
            self.last_size = self.size_at(update + len(self.ends) - 1)
            self.ends.append(min(self.ends[-1] + self.last_size, rows))

    def size_at(self, update):
        planned = (callback.planned(update) for callback in self.steering)
        size = next((size for size in planned if size is not None), self.controls.batch_size)
        self.controls.check(size)
        return size

    def arguments(self):
        """The arguments of `tfnn.fit` that this stands for: (x, y, sample_weight), batch_size, shuffle, seed."""
        return *self.source.arguments(self.batch_size), self.shuffle, self.seed

    def __getitem__(self, index):
        if not self.begun:  # Keras looks at one batch to learn its shapes and types
            return self.source.sample(index)
        self.position += 1
        return self.source.read(*self.ends[self.position - 1 : self.position + 1])


class Rows:
    """The examples in arrays."""

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
    """The examples that a `tf.data.Dataset` gives one by one.

    Args:
        chunk: how many to read at a time.
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
        """Zeros shaped like a batch: reading a real one would change a dataset's shuffled order. Open lengths: `index` + 1."""
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
    """Acts as an integer: the number of batches in the current epoch of a `growable`."""

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
    a = np.asarray(a.to_frame() if hasattr(a, "to_frame") else a)  # a pandas Series becomes a column, as in Keras
    return a.astype(keras.config.floatx(), copy=False) if np.issubdtype(a.dtype, np.floating) else a


def tuple_of(batch):
    return batch if isinstance(batch, tuple) else (batch,)


def count(batch):
    return tf.nest.flatten(batch)[0].shape[0]
