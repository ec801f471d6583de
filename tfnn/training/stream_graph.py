"""The static graph over batches that are read one after the other."""

import tensorflow as tf

from tfnn.training.graph import TrainingGraph, loop, reset_metrics, without_optionals
from tfnn.training.step import rows


class StreamGraph(TrainingGraph):
    """Trains on the batches of a `tf.data` iterator, whatever their size. XLA compiles a step: it cannot read the iterator."""

    any_size = static = False
    size_of_batches = None

    def __init__(self, model, *settings, **more):
        super().__init__(model, *settings, **more)
        self.one_compiled, self.one_part = (self.function(call, self.jit.on) for call in (self.one, self.part))

    def one_step(self, batch, stream):
        return self.undone_where_bad(lambda: self.one_compiled(batch, stream))

    def part(self, total, batch, stream):
        return self.strategy.run(self.step.part, (total, batch, stream))

    def run(self, iterator, at, limit, passes, fresh, order=None):
        """Up to `limit` updates; `at` is how many batches and examples of pass number `passes` were read before.

        The examples of a batch are known by their place in the pass; with `order`, by what that holds there.
        """
        logs = self.first_logs(without_optionals(iterator.element_spec))
        reset_metrics(self.compiled.model, fresh)
        seed = self.controls.seed.value()
        examples = lambda start, end: tf.range(start, end) if order is None else order[start:end]

        def count_examples(before, after):
            """Counts the examples of an update: whole batches, unless it is known how many examples a pass has."""
            read = after - before
            self.controls.examples.assign_add(tf.cast(read[0] * self.micro_batch if order is None else read[1], tf.int64))

        def read(at, train, end):
            """`train(element, batch, stream, at after it)`, or `end()` where no batch is left."""
            element = iterator.get_next_as_optional()

            def found():
                batch = without_optionals(element.get_value())
                after = at + tf.stack([1, rows(batch)])
                return train(element, batch, (seed, passes, examples(at[1], after[1])), after)

            return tf.cond(element.has_value(), found, end)

        def single(at, updates, good, ended, logs, last):
            def train(element, batch, stream, after):
                good, logs = self.one_step(batch, stream)
                count_examples(at, after)
                return after, updates + 1, good, tf.constant(False), logs, element

            return read(at, train, lambda: (at, updates, good, tf.constant(True), logs, last))

        def joined(at, updates, good, ended, logs, last):
            """An update with several batches as one, for what cannot be split, or where larger batches are faster."""
            specs = tf.nest.flatten(without_optionals(iterator.element_spec))
            parts = [tf.TensorArray(spec.dtype, 0, True, infer_shape=False, element_shape=spec.shape) for spec in specs]

            def collect(count, at, ended, last, parts):
                train = lambda element, batch, stream, after: (
                    *(count + 1, after, tf.constant(False), element),
                    [array.write(count, part) for array, part in zip(parts, tf.nest.flatten(batch))],
                )
                return read(at, train, lambda: (count, at, tf.constant(True), last, parts))

            more = lambda count, at, ended, last, parts: (count < self.controls.accumulation) & ~ended
            count, after, ended, last, parts = loop(more, collect, (tf.constant(0), at, ended, last, parts))

            def train():
                batch = tf.nest.pack_sequence_as(without_optionals(iterator.element_spec), [array.concat() for array in parts])
                good, told = self.one_step(batch, (seed, passes, examples(at[1], after[1])))
                count_examples(at, after)
                return updates + 1, good, told

            updates, good, logs = tf.cond(count > 0, train, lambda: (updates, good, logs))
            return after, updates, good, ended, logs, last

        def accumulated(at, updates, good, ended, logs, last):
            def add(parts, at, ended, total, last):
                train = lambda element, batch, stream, after: (
                    *(parts + 1, after, tf.constant(False)),
                    *(self.one_part(total, batch, stream), element),
                )
                return read(at, train, lambda: (parts, at, tf.constant(True), total, last))

            def group():
                more = lambda parts, at, ended, total, last: (parts < self.controls.accumulation) & ~ended & total.good
                state = tf.constant(0), at, ended, self.strategy.run(self.step.zeros), last
                parts, after, over, total, element = loop(more, add, state)
                good = tf.cond(parts > 0, lambda: self.apply(total), lambda: tf.constant(True))
                return good, (after, updates + tf.cast(parts > 0, tf.int32), over, element)

            before = at
            good, (at, updates, ended, last) = self.undone_where_bad(group)
            count_examples(before, at)
            return at, updates, good, ended, logs, last

        more = lambda at, updates, good, ended, logs, last: (updates < limit) & good & ~ended
        none = tf.experimental.Optional.empty(iterator.element_spec)
        state = at, tf.constant(0), tf.constant(True), tf.constant(False), logs, none
        *told, last = loop(more, accumulated if self.accumulate else joined if self.rebatch else single, state)
        return self.results(*told)._replace(last=last)
