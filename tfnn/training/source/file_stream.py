"""Examples whose images stay in files, and a place in them."""

import contextlib
import functools

import keras
import tensorflow as tf

from tfnn.data.files import ImageFiles, check_readable, threads
from tfnn.random import permutation
from tfnn.training.source import tensors
from tfnn.training.source.batch_source import BatchSource
from tfnn.training.source.batches import batch_of, spec_of

READ_AHEAD = 2  # batches


class FileStream(BatchSource):
    """Batches in the order that `Arrays` has, from any of them on, which nothing before it needs to be read for.

    Images are decoded by TensorFlow's own threads while the model trains, so many at a time as there are processor cores,
    and `READ_AHEAD` batches ahead. Numbers that go with the images lie in memory.

    Args:
        data: (x, y, sample_weight), in which any arrays are `ImageFiles`.
        batch_size, shuffle, seed: as of `Arrays`.
    """

    def __init__(self, data, batch_size, shuffle=False, seed=0):
        super().__init__("images in files")
        self.data, self.rows = data, tensors.count(data)
        if any(isinstance(a, tensors.OF_ROWS) for a in keras.tree.flatten(data)):
            raise ValueError("images in files go with dense arrays, got ragged or sparse ones: convert them first")
        self.micro_batch = min(batch_size, self.rows)
        self.length = -(-self.rows // self.micro_batch)
        self.shuffle, self.seed = shuffle, seed

    @property
    def static_batch(self):
        return None if self.rows % self.micro_batch else self.micro_batch

    @property
    def spec(self):
        return spec_of(self.data)

    @property
    def batch_spec(self):
        return batch_of(self.spec)

    def examples(self, updates, controls):
        return min(self.rows, updates * controls.batch_size) if updates else self.rows

    def soften(self, soft):
        x, y, sample_weight = self.data
        self.data = x, soft(y), sample_weight
        vars(self).pop("example", None)

    def seek(self, passes, place=(0, 0)):
        self.order = tf.constant(permutation(self.rows, self.seed, passes)) if self.shuffle else tf.range(self.rows)
        self.iterator = iter(self.batches(self.order[place[1] :]))
        self.passes, self.place, self.ended = passes, list(place), place[1] >= self.rows

    @property
    def done(self):
        """Examples of this pass."""
        return self.place[1]

    def go_on_from(self, other):
        """Goes to the place of another source of the same examples in the same order."""
        self.seek(other.passes, (-(-other.done // self.micro_batch), other.done))

    @functools.cached_property
    def example(self):
        """A function of a row to an example. It is traced once: each pass would else trace the decoding of images anew."""
        readers = keras.tree.map_structure(reader, self.data)
        example = lambda row: batch_of(keras.tree.map_structure(lambda read: read and read(row), readers))
        return tf.function(example, input_signature=[tf.TensorSpec([], tf.int32)], autograph=False)

    def batches(self, rows):
        """A `tf.data.Dataset` of the batches of these rows, in their order."""
        dataset = tf.data.Dataset.from_tensor_slices(rows)
        dataset = dataset.map(self.example, num_parallel_calls=threads(), deterministic=True)
        return dataset.batch(self.micro_batch).prefetch(READ_AHEAD)

    def close(self):
        self.iterator = None

    @contextlib.contextmanager
    def naming_what_cannot_be_read(self, batches=None):
        begin = self.place[1]
        try:
            yield
        except tf.errors.OpError:
            end = None if batches is None else begin + (batches + READ_AHEAD + 1) * self.micro_batch
            self.check_readable(self.order[begin:end].numpy())
            raise

    def __iter__(self):
        self.place = [0, 0]
        with self.naming_what_cannot_be_read():
            yield from super().__iter__()

    def check_readable(self, rows):
        """Names the first file of the rows that cannot be read."""
        for images in keras.tree.flatten(self.data):
            if isinstance(images, ImageFiles):
                check_readable(images.files[row] for row in rows)


def reader(array):
    """A function of a row, in a graph, to an example."""
    if array is None:
        return None
    return array.reader() if isinstance(array, ImageFiles) else lambda row: tf.gather(array, row)
