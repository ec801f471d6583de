"""Batches of training data that stays in files, for plain `model.fit`."""

import random
from typing import Any

import keras
import numpy as np

from tfnn.checks import int32
from tfnn.data.dataset import Part
from tfnn.data.growable import array
from tfnn.random import permutation


def stream(
    x: Any,
    y: Any = None,
    batch_size: int = 32,
    *,
    sample_weight: Any = None,
    shuffle: bool = True,
    seed: int | None = None,
    epoch: int = 0,
) -> keras.utils.PyDataset:
    """Batches for `model.fit` of images that stay in their files. (`tfnn.fit` takes the images themselves.)

    A batch is a function of (seed, epoch, index): the number of reading threads does not matter, and a run can be resumed
    at any batch. The order of examples is that of `tfnn.fit` with the same seed; pass `shuffle=False` to `model.fit`, or
    it reorders the batches. `model.fit` reads some batches ahead; all processor cores decode their images in parallel.

    Args:
        x: a `Part` of a data set, or `tfnn.data.ImageFiles` such as its x; or lists or dicts of these and arrays.
        y, sample_weight: arrays with the examples along the first axis, or lists or dicts of them. A `Part` has its own y.
        batch_size: examples per batch.
        shuffle: whether each epoch has an order of its own.
        seed: an int in [0, 2³¹); None draws one from Python's generator, which `keras.utils.set_random_seed` seeds.
        epoch: the number of the first epoch, like `initial_epoch` of `model.fit`.

    Returns:
        A `keras.utils.PyDataset` of (x,), (x, y) or (x, y, sample_weight). `tfnn.fit` takes it, too.

    Raises:
        ValueError: if arrays are empty or differ in length, or if an argument is out of range.

    Example:
        >>> data = tfnn.data.folder("photographs", image_size=(96, 96), stream=True)
        >>> model.fit(tfnn.data.stream(data.train, seed=1), shuffle=False, epochs=10)
    """
    if isinstance(x, Part):
        x, y = x.labelled(y)
    batch_size, epoch = int32("batch_size", batch_size, low=1), int32("epoch", epoch, low=0)
    seed = random.randrange(2**31) if seed is None else int32("seed", seed, low=0)
    return ImageStream((x, y, sample_weight), batch_size, shuffle, seed, epoch)


class ImageStream(keras.utils.PyDataset):
    """The result of `stream`."""

    def __init__(self, data, batch_size, shuffle, seed, epoch):
        super().__init__()
        self.data = keras.tree.lists_to_tuples(keras.tree.map_structure(array, data))
        lengths = {len(a) for a in keras.tree.flatten(self.data) if a is not None}
        if data[0] is None or len(lengths) != 1 or 0 in lengths:
            raise ValueError(f"stream needs x, y and sample_weight of the same number of examples, got {sorted(lengths)}")
        (self.rows,) = lengths
        self.batch_size, self.shuffle, self.seed, self.epoch = batch_size, shuffle, seed, epoch
        self.given = 3 if data[2] is not None else 2 if data[1] is not None else 1
        self.begun = False
        self.held = None, None  # the last epoch asked for, and its order

    @property
    def num_batches(self):
        return -(-self.rows // self.batch_size)

    def on_epoch_begin(self):
        self.begun = True

    def on_epoch_end(self):  # Keras also calls it before the first epoch
        self.epoch, self.begun = self.epoch + self.begun, False

    def __getitem__(self, index):
        rows = self.order(self.epoch)[index * self.batch_size : (index + 1) * self.batch_size]
        return keras.tree.map_structure(lambda a: None if a is None else a[rows], self.data[: self.given])

    def order(self, epoch):
        held, order = self.held
        if held != epoch:
            order = permutation(self.rows, self.seed, epoch) if self.shuffle else np.arange(self.rows)
            self.held = epoch, order
        return order

    def arguments(self):
        """The arguments of `tfnn.fit` that this stands for: (x, y, sample_weight), batch_size, shuffle, seed."""
        return self.data, self.batch_size, self.shuffle, self.seed
