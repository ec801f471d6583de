"""The traced functions of a model that is not trained: its loss and metrics on data, and its outputs."""

import keras
import tensorflow as tf

from tfnn.training.compiled import Compiled
from tfnn.training.graph import (
    batch_of,
    loop,
    over_parts,
    reset_metrics,
    spec_of,
    take,
    traced,
    without_optionals,
    zeros_like_output,
)
from tfnn.training.pace import Pace
from tfnn.training.step import examples


class Evaluation:
    """Loss and metrics of a compiled model, some batches at a time in one call of a graph.

    Both functions end in (batches read, whether more follow, metrics), metrics being those of all batches since `fresh`.
    """

    def __init__(self, model, jit_compile=False, head=None):
        self.compiled, self.strategy, self.pace = Compiled(model, head), model.distribute_strategy, Pace()
        self.static = jit_compile or isinstance(self.strategy, tf.distribute.TPUStrategy)
        self.eager = model.run_eagerly
        self.on_arrays = traced(self._on_arrays, self.eager, jit_compile)
        self.on_stream = traced(self._on_stream, self.eager)
        self.step = model.test_step if self.compiled.own_test_step else self.plain_step
        self.traced_step = traced(self.step, self.eager, jit_compile)

    def plain_step(self, batch):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        y_pred = self.compiled.forward(x, training=False)
        loss = self.compiled.loss(x, y, y_pred, sample_weight, training=False)
        self.compiled.track(loss, examples((x, y, sample_weight)), y, y_pred, sample_weight)
        return {}

    def _on_arrays(self, data, size, at, limit, fresh):
        total = tf.nest.flatten(data)[0].shape[0]
        logs = self.first_logs(batch_of(spec_of(data)))
        reset_metrics(self.compiled.model, fresh)
        order = tf.range(total)
        end = tf.minimum(at + limit * size, total)
        batch = lambda start, size: batch_of(take(data, tf.slice(order, [start], [size])))
        step = lambda logs, start, size: self.strategy.run(self.step, (batch(start, size),))
        logs = over_parts(self.static, step, logs, at, end, size, total)
        return (end - at + size - 1) // size, end < total, self.results(logs)

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
