"""Arrays that lie on the device, and a place in them."""

import tensorflow as tf

from tfnn.random import permutation
from tfnn.training.source import tensors
from tfnn.training.source.batches import batch_of, spec_of, spec_of_rows, take


class Arrays:
    """Examples in an order that is a function of (seed, pass), from any of them on: a `tfnn.training.source.Source`.

    Its place is the number of examples of this pass that were read.

    Args:
        data: (x, y, sample_weight) as `as_tensors` gives them.
        shuffle: whether each pass has an order of its own; else that of the data.
    """

    once = ragged = False

    def __init__(self, data, batch_size, shuffle=False, seed=0):
        self.data, self.rows = data, tensors.count(data)
        self.micro_batch = min(batch_size, self.rows)
        self.length = -(-self.rows // self.micro_batch)
        self.shuffle, self.seed = shuffle, seed
        self.passes, self.place = None, 0

    @property
    def static_batch(self):
        return None if self.rows % self.micro_batch else self.micro_batch

    def updates_left(self, controls):
        return -(-(self.rows - self.place) // controls.batch_size)

    def examples(self, updates, controls):
        return min(self.rows, updates * controls.batch_size) if updates else self.rows

    @property
    def spec(self):
        return spec_of(self.data)

    @property
    def batch_spec(self):
        return batch_of(self.spec)

    def form(self, static):
        """What a trace holds of the data: of any number of rows, unless bodies of static shape read it."""
        spec = tf.TensorSpec.from_tensor if static else spec_of_rows
        return tf.nest.map_structure(lambda a: a if a is None else spec(a), self.data)

    def soften(self, soft):
        x, y, sample_weight = self.data
        self.data = x, soft(y), sample_weight

    def measure(self):
        pass

    @property
    def ended(self):
        return self.place >= self.rows

    def seek(self, passes, place=0):
        self.passes, self.place = passes, place
        self.order = tf.constant(permutation(self.rows, self.seed, passes)) if self.shuffle else tf.range(self.rows)

    @property
    def done(self):
        return self.place

    def go_on_from(self, other):
        self.seek(other.passes, other.done)

    def state(self):
        return {"passes": self.passes, "at": self.place}

    def restore(self, state):
        self.seek(state["passes"], state["at"])

    def go_on_after(self, state):
        pass

    def read(self, examples):
        """The batch of these examples."""
        return batch_of(take(self.data, examples))

    def sample(self):
        examples = self.order[: self.micro_batch]
        return self.read(examples), examples

    def __iter__(self):
        for start in range(0, self.rows, self.micro_batch):
            yield self.read(tf.range(start, min(start + self.micro_batch, self.rows)))

    def close(self):
        pass
