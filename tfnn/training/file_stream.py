"""Examples whose images stay in files, and a place in them."""

import functools

import keras
import tensorflow as tf

from tfnn.data.files import ImageFiles, check_readable, threads
from tfnn.random import permutation
from tfnn.training import inputs
from tfnn.training.graph import batch_of, spec_of
from tfnn.training.streams import Stream

READ_AHEAD = 2  # batches


class FileStream(Stream):
    """Batches in the order that `Arrays` has, from any of them on, which nothing before it needs to be read for.

    Images are decoded by TensorFlow's own threads while the model trains, so many at a time as there are processor cores,
    and `READ_AHEAD` batches ahead. Numbers that go with the images lie in memory.

    Args:
        data: (x, y, sample_weight), in which any arrays are `ImageFiles`.
        batch_size, shuffle, seed: as of `Arrays`.
    """

    once = endless = False

    def __init__(self, data, batch_size, shuffle=False, seed=0):
        self.data, self.rows, self.source = data, inputs.count(data), data[0]
        if any(isinstance(a, inputs.OF_ROWS) for a in keras.tree.flatten(data)):
            raise ValueError("images in files go with dense arrays, got ragged or sparse ones: convert them first")
        self.micro_batch = min(batch_size, self.rows)
        self.length = -(-self.rows // self.micro_batch)
        self.shuffle, self.seed = shuffle, seed
        self.passes, self.at, self.ended, self.iterator = None, [0, 0], False, None

    @property
    def spec(self):
        """(x, y, sample_weight) of a batch, as tensor specs."""
        return spec_of(self.data)

    @property
    def batch_spec(self):
        return batch_of(self.spec)

    def examples(self, updates, controls):
        """Examples of an epoch of so many updates, or of a pass."""
        return min(self.rows, updates * controls.batch_size) if updates else self.rows

    def soften(self, soft):
        """Puts `soft(y)` in the place of the labels."""
        x, y, sample_weight = self.data
        self.data = x, soft(y), sample_weight
        vars(self).pop("example", None)

    def seek(self, passes, at=(0, 0)):
        """Goes to the batch after `at`, (batches, examples), of pass number `passes`."""
        self.order = tf.constant(permutation(self.rows, self.seed, passes)) if self.shuffle else tf.range(self.rows)
        self.iterator = iter(self.batches(self.order[at[1] :]))
        self.passes, self.at, self.ended = passes, list(at), at[1] >= self.rows

    @property
    def done(self):
        """Examples of this pass."""
        return self.at[1]

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
        """Ends a pass, whose threads then end, too."""
        self.iterator = None

    def train(self, graph, limit, fresh):
        at = self.at[1]
        try:
            return super().train(graph, limit, fresh)
        except tf.errors.OpError:
            rows = self.order[at : at + (limit * graph.controls.micro_batches + READ_AHEAD + 1) * self.micro_batch].numpy()
            self.check_readable(rows)
            raise

    def evaluate(self, evaluation, limit, fresh):
        try:
            return super().evaluate(evaluation, limit, fresh)
        except tf.errors.OpError:
            self.check_readable(range(self.rows))
            raise

    def __iter__(self):
        try:
            yield from super().__iter__()
        except tf.errors.OpError:
            self.check_readable(range(self.rows))
            raise

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
