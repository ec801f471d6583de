"""The traced loss and metrics of a model on data that does not train it."""

import functools

import keras
import tensorflow as tf

from tfnn.training.graph.compiled import Compiled
from tfnn.training.graph.held import held, hold
from tfnn.training.graph.loops import loop, over_parts, over_static_parts, reset_metrics, runs_eagerly, traced
from tfnn.training.graph.pace import Pace
from tfnn.training.graph.told import NOTHING, carried, logs_of, told_in
from tfnn.training.graph.xla import OFF
from tfnn.training.source.arrays import Arrays
from tfnn.training.source.batches import batch_of, examples, rows, spec_of, take, without_optionals


class EvaluationGraph:
    """Loss and metrics of a compiled model, some batches at a time in one call of a graph.

    Args:
        model: a compiled Keras model.
        jit: what XLA compiles, a `tfnn.training.graph.xla.Jit`; bodies are static and dynamic as in `ArrayGraph`.
        head: the part of the model that is called; see `tfnn.training.graph.compiled.Compiled`.
    """

    def __init__(self, model, jit=OFF, head=None):
        self.compiled, self.strategy, self.jit, self.pace = Compiled(model, head), model.distribute_strategy, jit, Pace()
        self.eager, tpu = runs_eagerly(model), isinstance(self.strategy, tf.distribute.TPUStrategy)
        self.static, self.static_tail = (jit.on or tpu) and not self.eager, jit.tail or tpu
        self.step = functools.partial(logs_of, model.test_step) if self.compiled.own_test_step else self.plain_step
        self.arrays_function, self.stream_function = traced(self.over_arrays, self.eager), traced(self.over_stream, self.eager)
        self.static_batches = traced(self.over_static_batches, self.eager, jit.on)
        self.traced_step, self.compiled_step = traced(self.step, self.eager), traced(self.step, self.eager, jit.on)

    def serves(self, head):
        """Whether it still holds for its model, with this part called."""
        return self.compiled.head is head and self.eager == runs_eagerly(self.compiled.model) and self.compiled.current

    def advance(self, source, limit, fresh):
        """(batches read, whether more follow, metrics since `fresh`) of up to `limit` batches from where `source` stands."""
        if not isinstance(source, Arrays):
            with source.naming_what_cannot_be_read():
                batches, more, logs = self.stream_function(source.iterator, tf.constant(limit), tf.constant(fresh))
            return int(batches), bool(more), logs
        now = [tf.constant(number) for number in (source.place, limit, fresh, source.micro_batch)]
        size = source.micro_batch if self.static else None
        tail = source.rows % size if size and self.static_tail else None
        function = self.arrays_function
        if not self.eager:
            number, flag = tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.bool)
            function = function.get_concrete_function(source.form(self.static), number, number, flag, number, size, tail)
        batches, more, logs = function(source.data, *now, size, tail)
        source.place = min(source.place + int(batches) * source.micro_batch, source.rows)
        return int(batches), bool(more), logs

    def plain_step(self, batch):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        y_pred = self.compiled.forward(x, training=False)
        loss = self.compiled.loss(x, y, y_pred, sample_weight, training=False)
        self.compiled.track_loss(loss, examples((x, y, sample_weight)))
        self.compiled.track_metrics(y, y_pred, sample_weight)
        return {}

    def over_arrays(self, data, place, limit, fresh, size, static_size, static_tail):
        """Up to `limit` batches of `size` examples; the last two are Python numbers, or None, as in `ArrayGraph`."""
        total = rows(data)
        told = self.told(batch_of(spec_of(data)))
        reset_metrics(self.compiled.model, fresh)
        end = tf.minimum(place + limit * size, total)
        start, logs, static = place, told.zeros, self.static and not told.varies
        if static:
            start, logs = self.static_batches(data, start, end, logs, static_size, static_tail)
        if not (static and self.static_tail):
            step = self.compiled_step if self.static and told.varies else self.step_for(data)
            logs = over_parts(self.on_batch(data, step), logs, start, end, size)
        return (end - place + size - 1) // size, end < total, self.results(told.packed(logs))

    def over_static_batches(self, data, start, end, logs, size, tail):
        return over_static_parts(self.on_batch(data, self.step_for(data)), logs, start, end, size, tail)

    def step_for(self, data):
        """What a body calls on a batch of these arrays. Several bodies share one trace for all sizes."""
        return self.traced_step.get_concrete_function(batch_of(spec_of(data))) if self.static else self.step

    def on_batch(self, data, step):
        """`step` on a batch of these arrays, as the body of a loop."""
        order = tf.range(rows(data))
        batch = lambda start, size: batch_of(take(data, tf.slice(order, [start], [size])))
        return lambda logs, start, size: carried(self.strategy.run(step, (batch(start, size),)))

    def over_stream(self, iterator, limit, fresh):
        told = self.told(without_optionals(iterator.element_spec))
        reset_metrics(self.compiled.model, fresh)

        def turn(batches, more, logs):
            element = iterator.get_next_as_optional()
            one = self.traced_step if self.compiled.own_test_step else self.step  # which was traced for the first logs
            step = lambda: carried(self.strategy.run(one, (without_optionals(element.get_value()),)))
            found = lambda: (batches + 1, tf.constant(True), step())
            return tf.cond(element.has_value(), found, lambda: (batches, tf.constant(False), logs))

        going = lambda batches, more, logs: more & (batches < limit)
        batches, more, logs = loop(going, turn, (tf.constant(0), tf.constant(True), told.zeros))
        return batches, more, self.results(told.packed(logs))

    def told(self, spec):
        """The `Told` of the model's own step for batches like these."""
        if not self.compiled.own_test_step or self.eager:
            return NOTHING
        return told_in(self.traced_step.get_concrete_function(spec).structured_outputs)

    def results(self, logs):
        return self.compiled.epoch_logs(logs) if self.compiled.own_test_step else self.compiled.model.get_metrics_result()


def evaluation_for(model, source, jit=None, head=None):
    """The model's `EvaluationGraph` of an earlier call where it still holds, else a new one; `jit` of None takes any.

    `head` is the part of the model that is called, `source` that of the whole; see `tfnn.training.graph.compiled.Compiled`.
    """
    earlier = held(model, "evaluation")
    if earlier and jit in (None, earlier.jit) and earlier.serves(head):
        return earlier
    evaluation = EvaluationGraph(model, jit or OFF, head)
    evaluation.compiled.build(source.spec, source.static_batch)
    hold(model, "evaluation", evaluation)
    return evaluation
