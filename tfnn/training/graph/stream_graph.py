"""The static graph over batches that are read one after the other."""

from typing import Any, NamedTuple

import tensorflow as tf

from tfnn.training.graph.loops import loop, reset_metrics
from tfnn.training.graph.nonfinite import suspicion
from tfnn.training.graph.training_graph import TrainingGraph
from tfnn.training.source.batches import packed, rows, tensors_in, without_optionals


class Carry(NamedTuple):
    """What goes from update to update."""

    place: Any  # (batches, examples) of this pass that were read
    updates: Any
    good: Any
    ended: Any  # whether no batch is left
    logs: Any
    last: Any  # the `tf.experimental.Optional` batch that was read last


class Reading(NamedTuple):
    """What one pass reads."""

    iterator: Any
    order: Any  # of its examples, or None: they then go by their place
    seed: Any
    number: Any

    def key(self, before, after):
        """What the random numbers of the batches between two places are a function of."""
        examples = tf.range(before[1], after[1]) if self.order is None else self.order[before[1] : after[1]]
        return self.seed, self.number, examples

    def read(self, place, found, ended):
        """`found(batch, place after it, batch as an Optional)`, or `ended()` where no batch is left."""
        element = self.iterator.get_next_as_optional()

        def present():
            batch = without_optionals(element.get_value())
            return found(batch, place + tf.stack([1, rows(batch)]), element)

        return tf.cond(element.has_value(), present, ended)


class StreamGraph(TrainingGraph):
    """Trains on the batches of a `tf.data` iterator, whatever their size. XLA compiles a step: it cannot read the iterator."""

    static = False
    size_of_batches = None
    compiles_steps = True

    def advance(self, source, limit, fresh):
        """Up to `limit` updates from where `source` stands, which moves on: over an update that went wrong, too.

        Gives (updates, `Result`).
        """
        now = tf.constant(source.place), tf.constant(limit), tf.constant(source.passes), tf.constant(fresh)
        with source.naming_what_cannot_be_read(limit * self.controls.micro_batches):
            result = self.train(source.iterator, *now, source.order)
        if result.updates:
            source.last = result.last
        source.moved_to(result.place.numpy().tolist(), bool(result.ended))
        return int(result.updates), result

    def diagnosis(self, source, result):
        """(examples, variable, data) of the batch that was read last, in which a number went wrong."""
        batch, examples = source.read_last(result.last)
        return suspicion(self, batch, (tf.constant(source.passes), examples)) or (examples.numpy().tolist(), None, None)

    def run(self, iterator, place, limit, passes, fresh, order=None):
        """Up to `limit` updates; `place` is how many batches and examples of pass number `passes` were read before."""
        spec = without_optionals(iterator.element_spec)
        self.trace_step(spec)
        told = self.told(spec)
        reset_metrics(self.compiled.model, fresh)
        reading = Reading(iterator, order, self.controls.seed.value(), passes)
        update = self.summed if self.key.accumulates else self.joined if self.key.rebatches else self.of_one_batch
        none = tf.experimental.Optional.empty(iterator.element_spec)
        state = Carry(place, tf.constant(0), tf.constant(True), tf.constant(False), told.zeros, none)
        more = lambda *state: (Carry(*state).updates < limit) & Carry(*state).good & ~Carry(*state).ended
        done = Carry(*loop(more, lambda *state: update(reading, Carry(*state)), state))
        return self.results(*done[:-2], told.packed(done.logs))._replace(last=done.last)

    # An update: each gives the `Carry` after it ---------------------------------------------------------------------------

    def of_one_batch(self, reading, before):
        def train(batch, place, element):
            good, logs = self.guarded_single(batch, reading.key(before.place, place))
            self.count_examples(before.place, place, reading)
            return Carry(place, before.updates + 1, good, tf.constant(False), logs, element)

        return reading.read(before.place, train, lambda: before._replace(ended=tf.constant(True)))

    def joined(self, reading, before):
        """With several batches as one, for what cannot be split, or where larger batches are faster."""
        spec = without_optionals(reading.iterator.element_spec)
        array = lambda s: tf.TensorArray(s.dtype, 0, True, infer_shape=False, element_shape=s.shape)
        empty = [array(s) for s in tensors_in(spec)]

        def collect(count, place, ended, last, parts):
            put = lambda batch: [array.write(count, part) for array, part in zip(parts, tensors_in(batch))]
            found = lambda batch, place, element: (count + 1, place, tf.constant(False), element, put(batch))
            return reading.read(place, found, lambda: (count, place, tf.constant(True), last, parts))

        more = lambda count, place, ended, last, parts: (count < self.controls.accumulation) & ~ended
        state = tf.constant(0), before.place, before.ended, before.last, empty
        count, place, ended, last, parts = loop(more, collect, state)

        def train():
            batch = packed(spec, [array.concat() for array in parts])
            good, logs = self.guarded_single(batch, reading.key(before.place, place))
            self.count_examples(before.place, place, reading)
            return before.updates + 1, good, logs

        updates, good, logs = tf.cond(count > 0, train, lambda: (before.updates, before.good, before.logs))
        return Carry(place, updates, good, ended, logs, last)

    def summed(self, reading, before):
        """With the sum of the gradients of several batches."""

        def add(parts, place, ended, total, last):
            sum_with = lambda batch, after: self.part(total, batch, reading.key(place, after))
            found = lambda batch, after, element: (parts + 1, after, tf.constant(False), sum_with(batch, after), element)
            return reading.read(place, found, lambda: (parts, place, tf.constant(True), total, last))

        more = lambda parts, place, ended, total, last: (parts < self.controls.accumulation) & ~ended & self.heeded(total.good)
        kept, state = self.before_update(), (tf.constant(0), before.place, before.ended, self.zeros(), before.last)
        parts, place, ended, total, last = loop(more, add, state)
        good = tf.cond(parts > 0, lambda: self.guarded_update(total, kept), lambda: tf.constant(True))
        self.count_examples(before.place, place, reading)
        return Carry(place, before.updates + tf.cast(parts > 0, tf.int32), good, ended, before.logs, last)

    def count_examples(self, before, after, reading):
        """Counts the examples of an update: whole batches, unless it is known how many examples a pass has."""
        read = after - before
        examples = read[0] * self.micro_batch if reading.order is None else read[1]
        self.controls.examples.assign_add(tf.cast(examples, tf.int64))
