"""The traced functions of a model that is not trained: its loss and metrics on data, and its outputs."""

import keras
import tensorflow as tf

from tfnn.training.compiled import Compiled
from tfnn.training.graph import (
    batch_of,
    loop,
    over_parts,
    over_static_parts,
    reset_metrics,
    spec_of,
    take,
    traced,
    without_optionals,
    zeros_like_output,
)
from tfnn.training.pace import Pace
from tfnn.training.step import examples
from tfnn.training.xla import OFF


class Evaluation:
    """Loss and metrics of a compiled model, some batches at a time in one call of a graph.

    Both functions end in (batches read, whether more follow, metrics), metrics being those of all batches since `fresh`.
    `jit` says what XLA compiles, a `tfnn.training.xla.Jit`; bodies are static and dynamic as in `ArrayGraph`.
    """

    def __init__(self, model, jit=OFF, head=None):
        self.compiled, self.strategy, self.pace = Compiled(model, head), model.distribute_strategy, Pace()
        self.eager, tpu = model.run_eagerly, isinstance(self.strategy, tf.distribute.TPUStrategy)
        self.static, self.static_tail = (jit.on or tpu) and not self.eager, jit.tail or tpu
        self.step = model.test_step if self.compiled.own_test_step else self.plain_step
        self.on_arrays = traced(self._on_arrays, self.eager)
        self.static_batches = traced(self._static_batches, self.eager, jit.on)
        self.on_stream = traced(self._on_stream, self.eager)
        self.traced_step = traced(self.step, self.eager)

    def plain_step(self, batch):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        y_pred = self.compiled.forward(x, training=False)
        loss = self.compiled.loss(x, y, y_pred, sample_weight, training=False)
        self.compiled.track(loss, examples((x, y, sample_weight)), y, y_pred, sample_weight)
        return {}

    def _on_arrays(self, data, at, limit, fresh, size, static_size, static_tail):
        """Up to `limit` batches of `size` examples from `at`; the other two are Python numbers, or None, as in `ArrayGraph`."""
        total = tf.shape(tf.nest.flatten(data)[0])[0]
        logs = self.first_logs(batch_of(spec_of(data)))
        reset_metrics(self.compiled.model, fresh)
        end = tf.minimum(at + limit * size, total)
        start = at
        if self.static:
            start, logs = self.static_batches(data, start, end, logs, static_size, static_tail)
        if not (self.static and self.static_tail):
            logs = over_parts(self.on_batch(data), logs, start, end, size)
        return (end - at + size - 1) // size, end < total, self.results(logs)

    def _static_batches(self, data, at, end, logs, size, tail):
        return over_static_parts(self.on_batch(data), logs, at, end, size, tail)

    def on_batch(self, data):
        """The step on a batch of these arrays. Where several bodies call it they share one trace for all sizes."""
        step = self.traced_step.get_concrete_function(batch_of(spec_of(data))) if self.static else self.step
        order = tf.range(tf.shape(tf.nest.flatten(data)[0])[0])
        batch = lambda start, size: batch_of(take(data, tf.slice(order, [start], [size])))
        return lambda logs, start, size: self.strategy.run(step, (batch(start, size),))

    def _on_stream(self, iterator, limit, fresh):
        logs = self.first_logs(without_optionals(iterator.element_spec))
        reset_metrics(self.compiled.model, fresh)

        def turn(batches, more, logs):
            element = iterator.get_next_as_optional()
            step = lambda: self.strategy.run(self.traced_step, (without_optionals(element.get_value()),))
            found = lambda: (batches + 1, tf.constant(True), step())
            return tf.cond(element.has_value(), found, lambda: (batches, tf.constant(False), logs))

        going = lambda batches, more, logs: more & (batches < limit)
        batches, more, logs = loop(going, turn, (tf.constant(0), tf.constant(True), logs))
        return batches, more, self.results(logs)

    def first_logs(self, spec):
        """What the loop starts with where a model's own step tells something: zeros of that form."""
        if not self.compiled.own_test_step or self.eager:
            return {}
        return zeros_like_output(self.traced_step, spec)

    def results(self, logs):
        model = self.compiled.model
        return model._get_metrics_result_or_logs(logs) if self.compiled.own_test_step else model.get_metrics_result()
