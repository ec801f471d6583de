"""The object that every loader returns."""

import dataclasses
import hashlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tfnn.data.files import ImageFiles


class Part(NamedTuple):
    """One part of a data set. `tfnn.fit` and the functions like it take it in place of (x, y).

    Attributes:
        x: images (N, H, W, C): an array, or `ImageFiles`, which decode the rows that are taken from them.
        y: int32 labels (N,), indices into `class_names`.
        files: the N paths the images came from, or () if they came from arrays.
        digests: the SHA-256 of each file's bytes, or () likewise.

    Example:
        >>> data = tfnn.data.digits()
        >>> first = data.train.select(slice(0, 100))
    """

    x: np.ndarray | ImageFiles
    y: np.ndarray
    files: tuple = ()
    digests: tuple = ()

    def select(self, rows):
        """A `Part` of some of the examples. Images that are in files stay there."""
        x = self.x.select(rows) if isinstance(self.x, ImageFiles) else self.x[rows]
        places = np.arange(len(self.y))[rows]
        files, digests = (tuple(column[place] for place in places) if column else () for column in (self.files, self.digests))
        return Part(x, self.y[rows], files, digests)

    def loaded(self):
        """The same part with its images in memory."""
        return self._replace(x=np.asarray(self.x))

    def digest(self):
        """SHA-256 of the images in their order: of the array, or of the files' bytes and the shape they are brought to."""
        if isinstance(self.x, ImageFiles):
            return self.x.digest()
        array = np.ascontiguousarray(self.x)
        total = hashlib.sha256(f"{array.dtype.str} {array.shape};".encode())
        total.update(array.reshape(-1).view(np.uint8))
        return total.hexdigest()

    def labelled(self, y=None):
        """(x, y), for functions that take arrays. `y` is what the caller passed besides this part: it must be None."""
        if y is not None:
            raise ValueError("y was given beside a Part of a data set, which holds its own")
        return self.x, self.y


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images with labels in three parts. Nothing is tuned on `test`.

    Attributes:
        name: for reports.
        class_names: the name of each label.
        train, validation, test: `Part`s.
        value_range: (low, high), the values of black and white in `x`.
        prepare: for images of a special form, a function that brings any picture to it: made of TensorFlow operations,
            from one float32 picture (H, W, C), 0 to 255, to another of any size. Otherwise None.

    Example:
        >>> data = tfnn.data.digits()
        >>> data.image_shape, len(data.class_names), data.value_range
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
