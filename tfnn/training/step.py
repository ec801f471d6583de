"""What a replica does with one batch. `compile`'s own step is taken apart, so that gradients can be summed before an update.

A model that brings its own `train_step` or `compute_metrics` keeps it: its step is then one piece, which nothing can split.
"""

import keras
import tensorflow as tf

from tfnn import random
from tfnn.training.augmentation import augmented
from tfnn.training.compiled import masked


class Step:
    """The steps of one compiled model; all methods run in a replica.

    Args:
        compiled: the `tfnn.training.compiled.Compiled` model.
        controls: the `tfnn.controls.Controls` of the run.
        accumulate: whether an update may sum the gradients of several micro-batches.
        augmentation: steps for `tfnn.training.augmentation.augmented`.
    """

    def __init__(self, compiled, controls, accumulate, augmentation):
        self.compiled, self.controls = compiled, controls
        self.accumulate, self.augmentation = accumulate, augmentation

    def zeros(self):
        return [tf.zeros(w.shape, w.dtype) for w in self.compiled.weights], tf.constant(0.0), tf.constant(True)

    def part(self, total, batch, stream):
        """The gradients of one micro-batch, added to `total` where there is one: (Σ n_j · gradient_j, Σ n_j, good).

        Keras's losses are means over examples, so the weighted sum over Σ n_j is the mean over the whole batch. The
        weight stands inside the tape: outside it would be wrong with a synchronized BatchNorm. n_j is counted in
        micro-batches, so that it is at most 1 and does not push a scaled float16 loss towards overflow. `good` tells
        whether every loss was finite.
        """
        data = keras.utils.unpack_x_y_sample_weight(batch)
        if total is None:
            gradients, loss = self.gradients(data, stream, lambda loss: loss)
            return gradients, tf.constant(1.0), tf.math.is_finite(loss)
        weight = examples(data) / self.controls.micro_batch
        gradients, loss = self.gradients(data, stream, lambda loss: loss * tf.cast(weight, loss.dtype))
        summed = [a + tf.convert_to_tensor(g) for a, g in zip(total[0], gradients)]
        return summed, total[1] + weight, total[2] & tf.math.is_finite(loss)

    def gradients(self, data, stream, weighted):
        """Augmentation, forward, backward, metrics: the gradients of `weighted(loss)`, and the loss.

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
        return [tf.zeros(w.shape, w.dtype) if g is None else g for g, w in zip(gradients, self.compiled.weights)], loss

    def update(self, total):
        """One update with Σ n_j g_j / Σ n_j; a weight that the loss does not depend on is left out, as by Keras."""
        gradients, weight, _ = total
        if self.accumulate:
            gradients = [g / tf.cast(weight, g.dtype) for g in gradients]
        self.compiled.apply([g if reached else None for g, reached in zip(gradients, self.reached)], self.controls)

    def whole(self, batch, stream):
        """The model's own training step: (what it tells, whether the loss among it is finite)."""
        with random.scope(*stream), self.compiled.learning_rate_of(self.controls):
            if self.augmentation:
                data = augmented(self.augmentation, *keras.utils.unpack_x_y_sample_weight(batch))
                batch = keras.utils.pack_x_y_sample_weight(*data)
            logs = self.compiled.model.train_step(batch)
        loss = logs.get("loss", 0.0) if isinstance(logs, dict) else 0.0
        return logs, tf.reduce_all(tf.math.is_finite(tf.cast(loss, tf.float32)))


def examples(data):
    """The number of examples of a micro-batch, float32."""
    return tf.cast(rows(data), tf.float32)


def rows(data):
    first = next(a for a in tf.nest.flatten(data) if a is not None)
    return first.nrows(tf.int32) if isinstance(first, tf.RaggedTensor) else tf.shape(first)[0]
