"""Images that stay in their files until they are needed."""

import functools
import hashlib
import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfnn.data.pixels import decode, resize, with_channels

CHUNK = 2**26  # bytes of pixels that are read at a time when all images are asked for


class ImageFiles:
    """uint8 images (N, H, W, C) that are indexed like an array, `images[rows]`, and decoded only then.

    All processor cores decode in parallel; the images come in the order of the rows. Nothing is kept in memory.

    Args:
        files: the N paths.
        digests: the SHA-256 of each file's bytes, in hexadecimal.
        image_shape: (H, W, C) that every image is brought to; C is 1 or 3.

    Raises:
        ValueError: on indexing, if a file is gone or is no longer an image.

    Example:
        >>> photographs = tfnn.data.folder("photographs", stream=True).train.x
        >>> photographs.shape, photographs[:32].mean()
    """

    dtype, ndim = np.dtype(np.uint8), 4

    def __init__(self, files: Sequence[str | os.PathLike], digests: Sequence[str], image_shape: Sequence[int]) -> None:
        self.files, self.digests, self.image_shape = tuple(map(str, files)), tuple(digests), tuple(map(int, image_shape))

    @property
    def shape(self):
        return len(self), *self.image_shape

    @property
    def nbytes(self):
        """Bytes that all pixels would take in memory."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __len__(self):
        return len(self.files)

    def __getitem__(self, rows):
        where = np.arange(len(self))[rows]
        if where.ndim > 1:
            raise IndexError(f"images in files are taken by one index, a slice or a list of rows, got {rows!r}")
        files = [self.files[row] for row in np.atleast_1d(where)]
        if not files:
            return np.empty((0, *self.image_shape), np.uint8)
        try:
            images = in_graph(self.image_shape)(tf.constant(files)).numpy()
        except tf.errors.OpError:
            check_readable(files)
            raise
        return images if where.ndim else images[0]

    def __array__(self, dtype=None, copy=None):
        images = np.empty(self.shape, np.uint8)
        step = max(1, CHUNK // max(1, int(np.prod(self.image_shape))))
        for start in range(0, len(self), step):
            images[start : start + step] = self[start : start + step]
        return images if dtype is None else images.astype(dtype, copy=False)

    def __repr__(self):
        return f"<ImageFiles {self.shape}, {self.dtype}>"

    def select(self, rows):
        """`ImageFiles` of some rows."""
        rows = np.arange(len(self))[rows]
        return ImageFiles((self.files[row] for row in rows), (self.digests[row] for row in rows), self.image_shape)

    def digest(self):
        """SHA-256 of all that determines the pixels: the files' bytes, in their order, and the shape of the images."""
        return hashlib.sha256("\n".join([str(self.image_shape), *self.digests]).encode()).hexdigest()

    def reader(self):
        """A function for use in a graph, from the number of a row to its image."""
        names = tf.constant(self.files)
        return lambda row: fitted(tf.io.read_file(names[row]), self.image_shape)


def fitted(encoded, image_shape):
    """Decodes an image to uint8 of shape (H, W, C); one that already has this shape keeps its pixels."""
    *size, channels = image_shape
    image = decode(encoded)

    def changed():
        return tf.cast(tf.clip_by_value(tf.round(resize(with_channels(image, channels), size)), 0, 255), tf.uint8)

    return tf.ensure_shape(tf.cond(tf.reduce_all(tf.shape(image) == image_shape), lambda: image, changed), image_shape)


@functools.cache
def in_graph(image_shape):
    """A graph function from N paths to uint8 (N, H, W, C); eager mode takes several times as long per image."""

    def read(files):
        images = tf.data.Dataset.from_tensor_slices(files).map(
            lambda file: fitted(tf.io.read_file(file), image_shape), num_parallel_calls=threads(), deterministic=True
        )
        return images.batch(tf.size(files, out_type=tf.int64)).get_single_element()

    return tf.function(read, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)


def threads():
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_readable(files):
    """Raises an error that names the first file that cannot be read, if there is one."""
    for file in files:
        try:
            decode(tf.io.read_file(file))
        except tf.errors.OpError:
            state = "is no readable image any more" if os.path.exists(file) else "is gone"
            raise ValueError(f"{file} {state}; it was one when the data set was made: make that anew") from None
