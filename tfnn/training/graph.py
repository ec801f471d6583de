"""The static graph of a run: one trace serves any range of updates, whatever the batch size grows to.

    train(data, order, row, limit)               one tf.function; data, order, row, limit are tensors
      while row < N and updates < limit:
        while rows of this batch are left:       accumulation is a tensor: one trace for every batch size
          augment, forward, backward, metrics    sums n_j · gradient_j and n_j
        one update with Σ n_j g_j / Σ n_j

Both loops stand outside `strategy.run`, where an update may not stand in a loop (tf.distribute's merge_call).
"""

import functools

import tensorflow as tf

from tfnn import random
from tfnn.controls import Controls
from tfnn.training.augmentation import augmented
from tfnn.training.compiled import Compiled, masked
from tfnn.training.pace import Pace


class TrainingGraph:
    """The traced functions of one compiled model.

    Args:
        model: a compiled Keras model.
        micro_batch: examples of one forward and backward pass; static.
        accumulate: whether a batch may be several micro-batches.
        jit_compile: whether XLA compiles the whole graph. It then holds two bodies of static shape, a full micro-batch
            and the tail of an epoch; else one body of dynamic shape is as fast.
        augmentation: steps for `tfnn.training.augmentation.augmented`.
    """

    def __init__(self, model, micro_batch, accumulate, jit_compile, augmentation=()):
        self.compiled, self.strategy = Compiled(model), model.distribute_strategy
        self.micro_batch, self.accumulate, self.augmentation = micro_batch, accumulate, augmentation
        self.static = jit_compile or isinstance(self.strategy, tf.distribute.TPUStrategy)
        self.controls, self.pace, self.test_pace = Controls(micro_batch), Pace(), Pace()
        # a partial is a key of its own: methods would share one over all graphs in TensorFlow's count of retraces, which warns
        self.train = tf.function(functools.partial(self._train), jit_compile=jit_compile, autograph=False)
        self.test = tf.function(functools.partial(self._test), jit_compile=jit_compile, autograph=False)

    @property
    def traces(self):
        return self.train.experimental_get_tracing_count()

    # Over updates and micro-batches: in the cross-replica context -----------------------------------------------------

    def _train(self, data, order, row, limit):
        """Up to `limit` updates from position `row` of `order`. Gives (row, updates, metrics)."""
        rows, size = order.shape[0], self.micro_batch
        self.begin_at(row)
        run = self.strategy.run
        stream = self.controls.seed.value(), tf.cast(self.controls.examples // rows, tf.int32)  # (seed, epoch)

        def step(total, start, size):
            examples = tf.slice(order, [start], [size])
            return run(self.part, (total, take(data, examples), (*stream, examples)))

        more = lambda row, updates: (row < rows) & (updates < limit)

        def update(row, end, updates, total):
            run(self.update, (total,))
            self.controls.examples.assign_add(tf.cast(end - row, tf.int64))
            return end, updates + 1

        def accumulated(row, updates):
            end = tf.minimum(row + self.controls.accumulation * size, rows)
            return update(row, end, updates, self.over_parts(step, run(self.zeros), row, end, size, rows))

        def single(row, updates, size):
            return update(row, row + size, updates, step(None, row, size))

        state = row, tf.constant(0)
        if self.accumulate:
            state = tf.while_loop(more, accumulated, state)
        elif not self.static:
            state = tf.while_loop(more, lambda row, updates: single(row, updates, tf.minimum(size, rows - row)), state)
        else:  # the tail, of a static shape of its own, comes after the loop: a branch inside costs XLA a third of the time
            full = lambda row, updates: (row + size <= rows) & (updates < limit)
            state = tf.while_loop(full, lambda *state: single(*state, size), state)
            if rows % size:  # a loop of one turn: a tf.cond here takes XLA over thirty times as long to compile
                state = tf.while_loop(more, lambda *state: single(*state, rows % size), state)
        return *state, self.compiled.model.get_metrics_result()

    def _test(self, data, size, row, limit):
        """Loss and metrics of up to `limit` batches of `size` examples from `row` on. Gives (row, metrics)."""
        rows = tf.nest.flatten(data)[0].shape[0]
        order = tf.range(rows)
        self.begin_at(row)
        end = tf.minimum(row + limit * size, rows)
        take_from = lambda start, size: take(data, tf.slice(order, [start], [size]))
        step = lambda done, start, size: done + self.strategy.run(self.evaluate, (take_from(start, size),))
        self.over_parts(step, tf.constant(0), row, end, size, rows)
        return end, self.compiled.model.get_metrics_result()

    def begin_at(self, row):
        """Resets the metrics at the first row. In the graph, because a call of its own would cost as much as 5 updates."""

        def reset():
            self.compiled.model.reset_metrics()
            return True

        tf.cond(tf.equal(row, 0), reset, lambda: False)

    def over_parts(self, step, carry, row, end, size, rows):
        """carry = step(carry, start, examples) over row..end in parts of `size`; the last of an epoch may be smaller."""
        if not self.static:
            body = lambda start, carry: (start + size, step(carry, start, tf.minimum(size, end - start)))
            return tf.while_loop(lambda start, _: start < end, body, (row, carry))[1]
        body = lambda start, carry: (start + size, step(carry, start, size))
        start, carry = tf.while_loop(lambda start, _: start + size <= end, body, (row, carry))
        tail = rows % size
        return tf.cond(start < end, lambda: step(carry, start, tail), lambda: carry) if tail else carry

    # In a replica ----------------------------------------------------------------------------------------------------

    def zeros(self):
        return [tf.zeros(w.shape, w.dtype) for w in self.compiled.weights], tf.constant(0.0)

    def part(self, total, data, stream):
        """The gradients of one micro-batch, added to `total` where there is one: (Σ n_j · gradient_j, Σ n_j).

        Keras's losses are means over examples, so the weighted sum over Σ n_j is the mean over the whole batch. The
        weight stands inside the tape: outside it would be wrong with a synchronized BatchNorm. n_j is counted in
        micro-batches, so that it is at most 1 and does not push a scaled float16 loss towards overflow.
        """
        if total is None:
            return self.gradients(data, stream, lambda loss: loss), tf.constant(1.0)
        weight = examples(data) / self.micro_batch
        gradients = self.gradients(data, stream, lambda loss: loss * tf.cast(weight, loss.dtype))
        return [a + tf.convert_to_tensor(g) for a, g in zip(total[0], gradients)], total[1] + weight

    def gradients(self, data, stream, weighted):
        """Augmentation, forward, backward, metrics: the gradients of `weighted(loss)`, zero where it depends on no weight.

        Random layers of tfnn draw as a function of `stream`, (seed, epoch, examples).
        """
        with random.scope(*stream):
            x, y, sample_weight = augmented(self.augmentation, *data)
            with tf.GradientTape() as tape:
                y_pred = self.compiled.forward(x, training=True)
                if self.accumulate and masked(y_pred):
                    raise ValueError("a growing batch sums gradients of micro-batches, which is not exact for a masked output")
                loss = self.compiled.loss(x, y, y_pred, sample_weight, training=True)
                goal = self.compiled.optimizer.scale_loss(weighted(loss))
        self.compiled.track(loss, examples(data), y, y_pred, sample_weight)
        gradients = tape.gradient(goal, self.compiled.weights)
        self.reached = [gradient is not None for gradient in gradients]
        return [tf.zeros(w.shape, w.dtype) if g is None else g for g, w in zip(gradients, self.compiled.weights)]

    def update(self, total):
        """One update with Σ n_j g_j / Σ n_j; a weight that the loss does not depend on is left out, as by Keras."""
        gradients, weight = total
        if self.accumulate:
            gradients = [g / tf.cast(weight, g.dtype) for g in gradients]
        self.compiled.apply([g if reached else None for g, reached in zip(gradients, self.reached)], self.controls)

    def evaluate(self, data):
        x, y, sample_weight = data
        y_pred = self.compiled.forward(x, training=False)
        loss = self.compiled.loss(x, y, y_pred, sample_weight, training=False)
        self.compiled.track(loss, examples(data), y, y_pred, sample_weight)
        return 1


def examples(data):
    """The number of examples of a micro-batch, float32."""
    return tf.cast(tf.shape(tf.nest.flatten(data)[0])[0], tf.float32)


def take(data, rows):
    return tf.nest.map_structure(lambda a: a if a is None else tf.gather(a, rows), data)
