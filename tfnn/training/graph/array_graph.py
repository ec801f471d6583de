"""The static graph over arrays that lie on the device."""

import weakref
from typing import Any, NamedTuple

import tensorflow as tf

from tfnn.training.graph.loops import loop, over_parts, over_static_parts, reset_metrics
from tfnn.training.graph.nonfinite import suspicion
from tfnn.training.graph.training_graph import KEY, TrainingGraph
from tfnn.training.source.batches import batch_of, spec_of, take


class Reading(NamedTuple):
    """What one pass reads."""

    data: Any  # (x, y, sample_weight)
    order: Any  # of the examples
    number: Any


class ArrayGraph(TrainingGraph):
    """Trains on arrays that lie on the device.

    Without XLA one body of dynamic shape serves batches of every size, and one trace serves arrays of every length. XLA, and
    a TPU, want bodies of static shape: one of a full micro-batch and, where `jit.tail` says that it pays, one of the last,
    smaller batch of an epoch. Otherwise that batch is left to TensorFlow's own kernels, which need no compilation. All these
    bodies call one trace of the step.
    """

    any_size = True

    def __init__(self, model, key, controls=None):
        super().__init__(model, key, controls)
        tpu = isinstance(self.strategy, tf.distribute.TPUStrategy)
        self.static, self.static_tail = (key.jit.on or tpu) and not self.eager, key.jit.tail or tpu
        self.undoes_calls = self.static or self.eager
        self.static_updates = self.function(self.updates_of_static_batches, key.jit.on)
        self.traced_step = self.function(self.part if key.accumulates else self.single)
        self.compiled_single = self.function(self.single, key.jit.on)
        self.found = weakref.WeakKeyDictionary()  # {source: {(size, tail): its trace}}

    def advance(self, source, limit, fresh):
        """Up to `limit` updates from where `source` stands, which moves on, to one that went wrong: (updates, `Result`)."""
        size = self.size_of_batches
        tail = (source.rows - source.place) % size if size and self.static_tail else None
        reading = Reading(source.data, source.order, tf.constant(source.passes))
        now = tf.constant(source.place), tf.constant(limit), tf.constant(fresh)
        result = self.trace_for(source, size, tail)(reading, *now, size, tail)
        source.place = int(result.place)
        return int(result.updates), result

    def trace_for(self, source, size, tail):
        """The trace for its data, looked up once: finding it anew at each call costs as much as 5 small updates."""
        if self.eager:
            return self.train
        found = self.found.setdefault(source, {})
        if (size, tail) not in found:
            order = tf.TensorSpec([source.rows if self.static else None], tf.int32)
            number, flag = tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.bool)
            reading = Reading(source.form(self.static), order, number)
            found[size, tail] = self.train.get_concrete_function(reading, number, number, flag, size, tail)
        return found[size, tail]

    def diagnosis(self, source, result):
        """(examples, variable, data) of the micro-batch of the next update in which a number goes wrong; moves on over it."""
        end, found = min(source.place + self.controls.batch_size, source.rows), None
        self.controls.examples.assign_add(end - source.place)
        while source.place < end and not found:
            examples = source.order[source.place : min(source.place + source.micro_batch, end)]
            source.place += len(examples)
            found = suspicion(self, source.read(examples), (tf.constant(source.passes), examples))
        source.place = end
        return found or (examples.numpy().tolist(), None, None)

    # Over updates and micro-batches: in the cross-replica context -----------------------------------------------------

    def run(self, reading, place, limit, fresh, size, tail):
        """Up to `limit` updates of `size` examples, or of micro-batches of so many; see `size_of_batches`.

        `tail` examples are left where no more whole batches are: of all rows, unless the size has changed in this pass. None
        leaves them to the body of dynamic shape.
        """
        spec = batch_of(spec_of(reading.data))
        self.trace_step(spec)  # which makes the metrics
        told = self.told(spec)
        begin = place, tf.constant(0), tf.constant(True), told.zeros
        reset_metrics(self.compiled.model, fresh)
        if size is None:
            size = self.controls.size.value() if self.key.rebatches else self.micro_batch
        static, step = self.static and not told.varies, self.step_for(reading.data)
        if self.static and told.varies:  # XLA then compiles each batch by itself
            step = self.compiled_single

        def updates():
            """(Whether all is well, the state after the updates)."""
            state = begin
            if static:
                state = self.static_updates(reading, limit, state, size, tail)
            if not (static and self.static_tail):
                state = self.updates_of_any_size(reading, limit, state, size, step)
            return state[2], state

        good, (at, updates, _, logs) = self.undone_where_bad(updates) if self.undoes_calls else updates()
        place = tf.where(good, at, place) if self.undoes_calls else at
        return self.results(place, updates, good, place >= tf.shape(reading.order)[0], told.packed(logs))

    @property
    def size_of_batches(self):
        """What a trace holds of the size of batches: a number, or None where it serves for all sizes."""
        if not self.static:
            return None
        return self.controls.batch_size if self.key.rebatches else self.micro_batch

    def updates_of_static_batches(self, reading, limit, state, size, tail):
        """`state`, (place, updates, whether all is well, logs), after the updates that static bodies serve."""
        step, batch, rows = self.step_for(reading.data), self.reader(reading), reading.order.shape[0]
        if self.key.accumulates:
            parts = lambda total, at, end: over_static_parts(part_of(step, batch), total, at, end, size, tail)[1]
            group = 1 if tail is not None else self.controls.accumulation * size  # without a body for the tail: whole groups
            return loop(going(rows, limit, group), self.accumulated(parts, rows, size), state)
        state = loop(going(rows, limit, size), self.plain(step, batch, size), state)
        if tail:  # a loop of one turn: a tf.cond here takes XLA over thirty times as long to compile
            state = loop(going(rows, limit, tail), self.plain(step, batch, tail), state)
        return state

    def updates_of_any_size(self, reading, limit, state, size, step):
        """The same for batches of any size, such as the tail that the static bodies have left."""
        batch, rows = self.reader(reading), tf.shape(reading.order)[0]
        if self.key.accumulates:
            parts = lambda total, at, end: over_parts(part_of(step, batch), total, at, end, size)
            return loop(going(rows, limit, 1), self.accumulated(parts, rows, size), state)
        body = lambda at, *state: self.plain(step, batch, tf.minimum(size, rows - at))(at, *state)
        return loop(going(rows, limit, 1), body, state)

    def step_for(self, data):
        """What a body calls on a batch, an update or a part of one. Several bodies share one trace for all sizes."""
        if not self.static:
            return self.part if self.key.accumulates else self.single if self.undoes_calls else self.guarded_single
        total = [tf.nest.map_structure(lambda a: tf.TensorSpec(a.shape, a.dtype), self.zeros())] if self.key.accumulates else []
        return self.traced_step.get_concrete_function(*total, batch_of(spec_of(data)), KEY)

    def reader(self, reading):
        """A function of (start, size): that batch, and what its random numbers are a function of."""

        def batch(start, size):
            examples = tf.slice(reading.order, [start], [size])
            return batch_of(take(reading.data, examples)), (self.controls.seed.value(), reading.number, examples)

        return batch

    def plain(self, step, batch, size):
        """A body of the loop over updates: one batch of `size` examples."""

        def update(at, updates, good, logs):
            good, logs = step(*batch(at, size))
            return self.moved(at, at + size, good), updates + 1, good, logs

        return update

    def accumulated(self, parts, rows, size):
        """A body of the loop over updates: the sum of `parts(zeros, at, end)`."""

        def update(at, updates, good, logs):
            end = tf.minimum(at + self.controls.accumulation * size, rows)
            before = [] if self.undoes_calls else self.before_update()
            total = parts(self.zeros(), at, end)
            good = self.update_with(total) if self.undoes_calls else self.guarded_update(total, before)
            return self.moved(at, end, good), updates + 1, good, logs

        return update

    def moved(self, at, end, good):
        """Where the next update begins, after one with the examples `at` to `end`: there again if it was undone.

        Examples are counted after the update, which a schedule dates by their number.
        """
        end = tf.where(good, end, at)
        self.controls.examples.assign_add(tf.cast(end - at, tf.int64))
        return end


def going(rows, limit, ahead):
    """Whether `ahead` examples are left for one more update, in a loop over (place, updates, whether all is well, logs)."""
    return lambda at, updates, good, logs: (at + ahead <= rows) & (updates < limit) & good


def part_of(step, batch):
    return lambda total, start, size: step(total, *batch(start, size))
