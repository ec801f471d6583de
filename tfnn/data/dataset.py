"""The object that every loader gives."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Part(NamedTuple):
    """One part of a data set.

    x: images (N, H, W, C). y: int32 labels (N,), indices into `class_names`. files: the N paths the images came from,
    or () where they came from arrays.
    """

    x: np.ndarray
    y: np.ndarray
    files: tuple = ()

    def select(self, rows):
        return Part(self.x[rows], self.y[rows], tuple(self.files[row] for row in rows) if self.files else ())


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images with labels in three parts. Nothing is tuned on `test`.

    Attributes:
        name: what to call it.
        class_names: the name of each label.
        train, validation, test: `Part`s.
        value_range: (low, high), what black and white are in `x`.
        prepare: what brings a picture from outside to the form of the images, where they have one of their own: a
            function, of TensorFlow operations, of one float32 picture (H, W, C) of 0 to 255 to another of any size.
    """

    name: str
    class_names: tuple
    train: Part
    validation: Part
    test: Part
    value_range: tuple
    prepare: Callable | None = None

    @property
    def image_shape(self):
        """(height, width, channels)."""
        return self.train.x.shape[1:]

    def from_pixels(self, pixels):
        """Maps pixel values of 0 to 255 to the value range of `x`."""
        low, high = self.value_range
        return low + pixels * ((high - low) / 255)
