"""The object that every loader gives."""

import dataclasses
import hashlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tfnn.data.files import ImageFiles


class Part(NamedTuple):
    """One part of a data set. `tfnn.fit` and its kin take it in the place of (x, y).

    x: images (N, H, W, C): an array, or `ImageFiles`, which are decoded where rows of them are taken. y: int32 labels (N,),
    indices into `class_names`. files: the N paths the images came from, and digests: the SHA-256 of the bytes of each, or ()
    where they came from arrays.
    """

    x: np.ndarray | ImageFiles
    y: np.ndarray
    files: tuple = ()
    digests: tuple = ()

    def select(self, rows):
        """Some of the examples; images in files stay there."""
        x = self.x.select(rows) if isinstance(self.x, ImageFiles) else self.x[rows]
        places = np.arange(len(self.y))[rows]
        files, digests = (tuple(column[place] for place in places) if column else () for column in (self.files, self.digests))
        return Part(x, self.y[rows], files, digests)

    def loaded(self):
        """The same with its images in memory."""
        return self._replace(x=np.asarray(self.x))

    def digest(self):
        """SHA-256 of the images in their order: of the bytes of the files and the form they are brought to, or of the array."""
        if isinstance(self.x, ImageFiles):
            return self.x.digest()
        array = np.ascontiguousarray(self.x)
        total = hashlib.sha256(f"{array.dtype.str} {array.shape};".encode())
        total.update(array.reshape(-1).view(np.uint8))
        return total.hexdigest()

    def labelled(self, y=None):
        """(x, y), for what takes arrays; labels that were given beside are refused."""
        if y is not None:
            raise ValueError("y was given beside a Part of a data set, which holds its own")
        return self.x, self.y


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
