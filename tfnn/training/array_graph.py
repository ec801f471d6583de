"""The static graph over arrays that lie on the device."""

import tensorflow as tf

from tfnn.training.graph import TrainingGraph, batch_of, loop, over_parts, reset_metrics, spec_of, take


class ArrayGraph(TrainingGraph):
    """Trains on arrays that lie on the device.

    Under XLA it holds two bodies of static shape, a full micro-batch and the tail of an epoch; else one body of dynamic
    shape is as fast.
    """

    compiles_loops = any_size = True

    def __init__(self, model, *settings, **more):
        super().__init__(model, *settings, **more)
        self.static = self.jit_compile or isinstance(self.strategy, tf.distribute.TPUStrategy)

    # Over updates and micro-batches: in the cross-replica context -----------------------------------------------------

    def run(self, data, order, at, limit, passes, fresh, batch_size, tail):
        """Up to `limit` updates of `batch_size` examples, or of micro-batches of so many; see `size_of_batches`.

        `tail` examples are left where no more whole batches are: of all rows, unless the size has changed in this pass.
        """
        logs = self.first_logs(batch_of(spec_of(data)))

        def updates():
            result = self.updates(logs, data, order, at, limit, passes, fresh, batch_size, tail)
            return result.good, result

        good, result = self.undone_where_bad(updates, self.jit_compile)
        return result._replace(good=good)

    @property
    def size_of_batches(self):
        """What a trace holds of the size of batches: a number, or None where it serves for all sizes."""
        if not self.rebatch:
            return self.micro_batch
        return self.controls.batch_size if self.static else None

    def updates(self, logs, data, order, at, limit, passes, fresh, size, tail):
        """Up to `limit` updates from position `at` of `order`, the order of all examples in pass number `passes`."""
        rows, size = order.shape[0], self.controls.size.value() if size is None else size
        reset_metrics(self.compiled.model, fresh)

        def batch(start, size):
            examples = tf.slice(order, [start], [size])
            return batch_of(take(data, examples)), (self.controls.seed.value(), passes, examples)

        def part(total, start, size):
            return self.strategy.run(self.step.part, (total, *batch(start, size)))

        more = lambda at, updates, good, logs: (at < rows) & (updates < limit) & good

        def update(at, updates, good, logs, size):
            told = self.one(*batch(at, size))
            self.controls.examples.assign_add(tf.cast(size, tf.int64))  # after the update, which a schedule dates by it
            return at + size, updates + 1, *told

        def accumulated(at, updates, good, logs):
            end = tf.minimum(at + self.controls.accumulation * size, rows)
            good = self.apply(over_parts(self.static, part, self.strategy.run(self.step.zeros), at, end, size, rows))
            self.controls.examples.assign_add(tf.cast(end - at, tf.int64))
            return end, updates + 1, good, logs

        state = at, tf.constant(0), tf.constant(True), logs
        if self.accumulate:
            state = loop(more, accumulated, state)
        elif not self.static:
            state = loop(more, lambda at, *state: update(at, *state, tf.minimum(size, rows - at)), state)
        else:  # the tail, of a static shape of its own, comes after the loop: a branch inside costs XLA a third of the time
            full = lambda at, updates, good, logs: (at + size <= rows) & (updates < limit) & good
            state = loop(full, lambda *state: update(*state, size), state)
            if tail:  # a loop of one turn: a tf.cond here takes XLA over thirty times as long to compile
                state = loop(more, lambda *state: update(*state, tail), state)
        at, updates, good, logs = state
        return self.results(at, updates, good, at >= rows, logs)
