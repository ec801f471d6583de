"""The static graph over arrays that lie on the device."""

import tensorflow as tf

from tfnn.training.graph import (
    STREAM,
    TrainingGraph,
    batch_of,
    loop,
    over_parts,
    over_static_parts,
    reset_metrics,
    spec_of,
    take,
)


class ArrayGraph(TrainingGraph):
    """Trains on arrays that lie on the device.

    Without XLA one body of dynamic shape serves batches of every size, and one trace serves arrays of every length. XLA, and
    a TPU, want bodies of static shape: one of a full micro-batch and, where `jit.tail` says that it pays, one of the last,
    smaller batch of an epoch. Otherwise that batch is left to TensorFlow's own kernels, which need no compilation. All these
    bodies call one trace of the step.
    """

    any_size = True

    def __init__(self, model, *settings, **more):
        super().__init__(model, *settings, **more)
        tpu = isinstance(self.strategy, tf.distribute.TPUStrategy)
        self.static, self.static_tail = (self.jit.on or tpu) and not self.eager, self.jit.tail or tpu
        self.static_updates = self.function(self._static_updates, self.jit.on)
        self.traced_step = self.function(self.part if self.accumulate else self.one)

    # Over updates and micro-batches: in the cross-replica context -----------------------------------------------------

    def run(self, data, order, at, limit, passes, fresh, size, tail):
        """Up to `limit` updates of `size` examples, or of micro-batches of so many; see `size_of_batches`.

        `tail` examples are left where no more whole batches are: of all rows, unless the size has changed in this pass. None
        leaves them to the body of dynamic shape.
        """
        begin = at, tf.constant(0), tf.constant(True), self.first_logs(batch_of(spec_of(data)))  # which makes the metrics
        reset_metrics(self.compiled.model, fresh)
        if size is None:
            size = self.controls.size.value() if self.rebatch else self.micro_batch

        def updates():
            state = begin
            if self.static:
                state = self.static_updates(data, order, passes, limit, state, size, tail)
            if not (self.static and self.static_tail):
                state = self.dynamic_updates(data, order, passes, limit, state, size)
            return state[2], state

        good, (at, updates, _, logs) = self.undone_where_bad(updates)
        return self.results(at, updates, good, at >= tf.shape(order)[0], logs)

    @property
    def size_of_batches(self):
        """What a trace holds of the size of batches: a number, or None where it serves for all sizes."""
        if not self.static:
            return None
        return self.controls.batch_size if self.rebatch else self.micro_batch

    def _static_updates(self, data, order, passes, limit, state, size, tail):
        """`state`, (position in `order`, updates, whether all is well, logs), after the updates that static bodies serve."""
        step, batch, rows = self.step_for(data), self.reader(data, order, passes), order.shape[0]
        if self.accumulate:
            parts = lambda total, at, end: over_static_parts(part_of(step, batch), total, at, end, size, tail)[1]
            group = 1 if tail is not None else self.controls.accumulation * size  # without a body for the tail: whole groups
            return loop(going(rows, limit, group), self.accumulated(parts, rows, size), state)
        state = loop(going(rows, limit, size), self.plain(step, batch, size), state)
        if tail:  # a loop of one turn: a tf.cond here takes XLA over thirty times as long to compile
            state = loop(going(rows, limit, tail), self.plain(step, batch, tail), state)
        return state

    def dynamic_updates(self, data, order, passes, limit, state, size):
        """The same for batches of any size, such as the tail that the static bodies have left."""
        step, batch, rows = self.step_for(data), self.reader(data, order, passes), tf.shape(order)[0]
        if self.accumulate:
            parts = lambda total, at, end: over_parts(part_of(step, batch), total, at, end, size)
            return loop(going(rows, limit, 1), self.accumulated(parts, rows, size), state)
        body = lambda at, *state: self.plain(step, batch, tf.minimum(size, rows - at))(at, *state)
        return loop(going(rows, limit, 1), body, state)

    def step_for(self, data):
        """What a body calls on a batch, an update or a part of one. Several bodies share one trace for all sizes."""
        if not self.static:
            return self.part if self.accumulate else self.one
        total = [tf.nest.map_structure(lambda a: tf.TensorSpec(a.shape, a.dtype), self.zeros())] if self.accumulate else []
        return self.traced_step.get_concrete_function(*total, batch_of(spec_of(data)), STREAM)

    def reader(self, data, order, passes):
        """A function of (start, size): that batch, and what its random numbers are a function of."""

        def batch(start, size):
            examples = tf.slice(order, [start], [size])
            return batch_of(take(data, examples)), (self.controls.seed.value(), passes, examples)

        return batch

    def plain(self, step, batch, size):
        """A body of the loop over updates: one batch of `size` examples."""

        def update(at, updates, good, logs):
            told = step(*batch(at, size))
            self.controls.examples.assign_add(tf.cast(size, tf.int64))  # after the update, which a schedule dates by it
            return at + size, updates + 1, *told

        return update

    def accumulated(self, parts, rows, size):
        """A body of the loop over updates: the sum of `parts(zeros, at, end)`."""

        def update(at, updates, good, logs):
            end = tf.minimum(at + self.controls.accumulation * size, rows)
            good = self.apply(parts(self.zeros(), at, end))
            self.controls.examples.assign_add(tf.cast(end - at, tf.int64))
            return end, updates + 1, good, logs

        return update

    def zeros(self):
        return self.strategy.run(self.step.zeros)

    def part(self, total, batch, stream):
        return self.strategy.run(self.step.part, (total, batch, stream))


def going(rows, limit, ahead):
    """Whether `ahead` examples are left for one more update, in a loop over (position, updates, whether all is well, logs)."""
    return lambda at, updates, good, logs: (at + ahead <= rows) & (updates < limit) & good


def part_of(step, batch):
    return lambda total, start, size: step(total, *batch(start, size))
