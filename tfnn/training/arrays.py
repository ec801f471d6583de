"""Arrays that lie on the device, and a place in them."""

import tensorflow as tf

from tfnn.random import permutation
from tfnn.training import inputs
from tfnn.training.graph import batch_of, spec_of, spec_of_rows, take
from tfnn.training.nonfinite import suspicion


class Arrays:
    """Examples in an order that is a function of (seed, pass), from any of them on.

    Args:
        data: (x, y, sample_weight) as `tfnn.training.inputs.tensors` gives them.
        shuffle: whether each pass has an order of its own; else that of the data.
    """

    def __init__(self, data, batch_size, shuffle=False, seed=0):
        self.data, self.rows = data, inputs.count(data)
        self.micro_batch = min(batch_size, self.rows)
        self.length = -(-self.rows // self.micro_batch)
        self.shuffle, self.seed, self.traces = shuffle, seed, {}
        self.passes, self.at = None, 0

    def updates_left(self, controls):
        """In this pass."""
        return -(-(self.rows - self.at) // controls.batch_size)

    def examples(self, updates, controls):
        """Examples of an epoch of so many updates, or of a pass."""
        return min(self.rows, updates * controls.batch_size) if updates else self.rows

    @property
    def spec(self):
        """Of a batch, as tensor specs."""
        return spec_of(self.data)

    @property
    def batch_spec(self):
        return batch_of(self.spec)

    def soften(self, soft):
        """Puts `soft(y)` in the place of the labels."""
        x, y, sample_weight = self.data
        self.data = x, soft(y), sample_weight

    @property
    def ended(self):
        return self.at >= self.rows

    once = False

    def seek(self, passes, at=0):
        """Goes to position `at` of pass number `passes`."""
        self.passes, self.at = passes, at
        self.order = tf.constant(permutation(self.rows, self.seed, passes)) if self.shuffle else tf.range(self.rows)

    @property
    def done(self):
        """Examples of this pass."""
        return self.at

    def go_on_from(self, other):
        """Goes to the place of another source of the same examples in the same order."""
        self.seek(other.passes, other.done)

    def place(self):
        return {"passes": self.passes, "at": self.at}

    def train(self, graph, limit, fresh):
        """Up to `limit` updates from here, and moves on where all went well. Gives (updates, `Result`)."""
        place, size = [tf.constant(number) for number in (self.at, limit, self.passes, fresh)], graph.size_of_batches
        tail = (self.rows - self.at) % size if size and graph.static_tail else None
        result = self.function(graph, size, tail)(self.data, self.order, *place, size, tail)
        if result.good:
            self.at = int(result.at)
        return int(result.updates), result

    def function(self, graph, size, tail):
        """The trace for this data, looked up once: finding it anew at each call costs as much as 5 small updates."""
        if graph.eager:
            return graph.train
        if (graph, size, tail) not in self.traces:
            data, order = self.form(graph.static), tf.TensorSpec([self.rows if graph.static else None], tf.int32)
            scalar, flag = tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.bool)
            specs = data, order, scalar, scalar, scalar, flag
            self.traces[graph, size, tail] = graph.train.get_concrete_function(*specs, size, tail)
        return self.traces[graph, size, tail]

    def form(self, static):
        """What a trace holds of the data: of any number of rows, unless bodies of static shape read it."""
        spec = tf.TensorSpec.from_tensor if static else spec_of_rows
        return tf.nest.map_structure(lambda a: a if a is None else spec(a), self.data)

    def sample(self):
        """(batch, its examples): the first of this pass."""
        examples = self.order[: self.micro_batch]
        return batch_of(take(self.data, examples)), examples

    def diagnosis(self, graph, result):
        """(examples, variable, data) of the micro-batch of the next update in which a number goes wrong; moves on over it."""
        end, found = min(self.at + graph.controls.batch_size, self.rows), None
        graph.controls.examples.assign_add(end - self.at)
        while self.at < end and not found:
            examples = self.order[self.at : min(self.at + self.micro_batch, end)]
            self.at += len(examples)
            found = suspicion(graph, batch_of(take(self.data, examples)), (tf.constant(self.passes), examples))
        self.at = end
        return found or (examples.numpy().tolist(), None, None)

    def evaluate(self, evaluation, limit, fresh):
        """(batches read, whether more follow, metrics) of up to `limit` batches from here."""
        place = [tf.constant(number) for number in (self.at, limit, fresh, self.micro_batch)]
        size = self.micro_batch if evaluation.static else None
        tail = self.rows % size if size and evaluation.static_tail else None
        function = evaluation.on_arrays
        if not evaluation.eager:
            integer = tf.TensorSpec([], tf.int32)
            specs = self.form(evaluation.static), integer, integer, tf.TensorSpec([], tf.bool), integer
            function = function.get_concrete_function(*specs, size, tail)
        batches, more, logs = function(self.data, *place, size, tail)
        self.at = min(self.at + int(batches) * self.micro_batch, self.rows)
        return int(batches), bool(more), logs

    def __iter__(self):
        """Batches from the first on, in the order of the data."""
        for start in range(0, self.rows, self.micro_batch):
            yield batch_of(take(self.data, tf.range(start, min(start + self.micro_batch, self.rows))))

    def close(self):
        pass
