"""What a replica does with one batch. `compile`'s own step is taken apart, so that gradients can be summed before an update.

A model that brings its own `train_step` or `compute_metrics` keeps it: its step is then one piece, which nothing can split.
"""

import functools
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfnn import random
from tfnn.controls import Facts
from tfnn.controls.nested import optimizers_of
from tfnn.training.graph.augmentation import augmented
from tfnn.training.graph.told import logs_of, losses_are_finite
from tfnn.training.graph.xla import own_code
from tfnn.training.source.batches import examples

LARGEST_STEP = 1e15


class Total(NamedTuple):
    """What is summed over the micro-batches j of an update, whose losses are means over n_j, counted in micro-batches."""

    gradients: Any  # Σ n_j · gradient_j
    weight: Any  # Σ n_j
    loss: Any  # Σ n_j · loss_j
    good: Any  # whether every loss was finite
    examples: Any  # how many there were
    parts: Any  # how many micro-batches
    squares: Any = ()  # (weights,): Σ |gradient_j|², where a probe wants it and this update is its turn


class Step:
    """The steps of one compiled model; all methods run in a replica.

    Args:
        compiled: the `tfnn.training.graph.compiled.Compiled` model.
        controls: the `tfnn.controls.Controls` of the run.
        accumulate: whether an update may sum the gradients of several micro-batches.
        augmentation: steps for `tfnn.training.graph.augmentation.augmented`.
        probes: the `tfnn.controls.Probe`s that measure each update.
    """

    def __init__(self, compiled, controls, accumulate, augmentation, probes=()):
        self.compiled, self.controls = compiled, controls
        self.accumulate, self.augmentation, self.probes = accumulate, augmentation, probes
        self.intervals = {probe.interval for probe in probes if probe.wants_parts}  # at which the parts are measured

    def zeros(self):
        weights, zero = self.compiled.weights, tf.constant(0.0)
        squares = tf.zeros(len(weights)) if self.intervals else ()
        gradients = [tf.zeros(w.shape, w.dtype) for w in weights]
        return Total(gradients, zero, zero, tf.constant(True), zero, tf.constant(0), squares)

    def part(self, total, batch, key):
        """The `Total` of one micro-batch, added to `total` where there is one.

        A loss is a mean over n_j, the examples or what a mask leaves of them, so the weighted sum over Σ n_j is the mean over
        the whole batch. The weight stands inside the tape: outside it would be wrong with a synchronized BatchNorm. n_j is
        counted in micro-batches, so that it is about 1 and does not push a scaled float16 loss towards overflow.
        """
        data = keras.utils.unpack_x_y_sample_weight(batch)
        gradients, loss, weight = self.gradients(data, key, alone=total is None)
        loss, good = tf.cast(loss, tf.float32), tf.math.is_finite(tf.cast(loss, tf.float32))
        part = Total(gradients, weight, weight * loss, good, examples(data), tf.constant(1), self.squares(gradients))
        return part if total is None else added(total, part)

    def squares(self, gradients):
        """|g|² of each weight's gradient, without the factor of a scaled float16 loss; zeros where no probe's turn is."""
        if not self.intervals:
            return ()
        measure = lambda: tf.stack([tf.reduce_sum(tf.square(tf.cast(g, tf.float32))) for g in self.unscaled(gradients)])
        due = tf.reduce_any([self.compiled.iterations % interval == 0 for interval in self.intervals])
        return tf.cond(due, measure, lambda: tf.zeros(len(gradients)))

    def unscaled(self, gradients):
        scale = self.compiled.optimizer.scale_loss(1.0)
        return gradients if isinstance(scale, float) else [tf.convert_to_tensor(g) / tf.cast(scale, g.dtype) for g in gradients]

    def gradients(self, data, key, alone):
        """Augmentation, forward, backward, metrics: (gradients of weight · loss, loss, weight); that is 1 for a batch `alone`.

        Random layers of tfnn draw as a function of `key`, (seed, epoch, examples).
        """
        with random.scope(*key):
            x, y, sample_weight = augmented(self.augmentation, *data)
            with tf.GradientTape() as tape:
                y_pred = self.compiled.forward(x, training=True)
                loss, weight = self.compiled.loss(x, y, y_pred, sample_weight, training=True), tf.constant(1.0)
                if not alone:
                    weight = self.compiled.count_of(y, y_pred, sample_weight, examples(data)) / self.controls.micro_batch
                goal = self.compiled.optimizer.scale_loss(loss * tf.cast(weight, loss.dtype))
        self.compiled.track_metrics(y, y_pred, sample_weight)
        if not self.accumulate:
            self.compiled.track_loss(loss, examples(data))
        gradients = tape.gradient(goal, self.compiled.weights)
        self.reached = [gradient is not None for gradient in gradients]
        return [tf.zeros(w.shape, w.dtype) if g is None else g for g, w in zip(gradients, self.compiled.weights)], loss, weight

    def update(self, total):
        """One update with Σ n_j g_j / Σ n_j; a weight that the loss does not depend on is left out, as by Keras."""
        gradients = total.gradients
        if self.accumulate:
            gradients = [g / tf.cast(total.weight, g.dtype) for g in gradients]
            self.compiled.track_loss(total.loss / total.weight, total.examples)
        self.measure(total, gradients)
        self.compiled.apply([g if reached else None for g, reached in zip(gradients, self.reached)], self.controls)

    @functools.cached_property
    def is_bounded(self):
        """Whether `is_safe` can rule out that an update makes a weight infinite: for the rules of Keras and tfnn.

        Their steps are at most the rate times a factor that neither grows with the weights nor divides by 0. A rule, or a
        constraint, of the user's own may do anything, and half precision overflows early.
        """
        weights, optimizers = self.compiled.weights, optimizers_of(self.compiled.optimizer)
        known = [*optimizers, *(weight.constraint for weight in weights if getattr(weight, "constraint", None) is not None)]
        full = all(keras.backend.standardize_dtype(weight.dtype) in ("float32", "float64", "bfloat16") for weight in weights)
        with tf.init_scope():
            divides = all(float(getattr(rule, "epsilon", 1.0)) > 0 for rule in optimizers)
        return full and divides and not any(own_code(part) for part in [self.compiled.optimizer, *known])

    def is_safe(self, total):
        """Whether the gradients, and the step that the rate makes of them, are far from what float32 cannot hold.

        A finite Σ g² means that each |g| is below 2e19, so that rules which square it do not overflow; the step is then below
        `LARGEST_STEP`, so that it takes 1e23 of them to make a weight infinite.
        """
        values = [tf.convert_to_tensor(getattr(gradient, "values", gradient)) for gradient in total.gradients]
        squares = tf.reduce_sum([0.0, *(tf.cast(tf.nn.l2_loss(value), tf.float32) for value in values)])
        return self.compiled.largest_rate(self.controls) * tf.sqrt(squares) < LARGEST_STEP

    def measure(self, total, gradients):
        """Has each probe measure the update that is about to be made, where it is its turn."""
        if not self.probes:
            return
        update = self.compiled.iterations
        facts = Facts(
            update=update,
            loss=total.loss / total.weight,
            learning_rate=self.compiled.learning_rate(self.controls),
            examples=total.examples,
            batch_size=self.controls.size.value(),
            weights=self.compiled.weights,
            gradients=self.unscaled(gradients),
            micro_batch=self.controls.micro_batch,
            parts=total.parts,
            part_squares=total.squares,
        )
        for probe in self.probes:
            if probe.interval == 1:
                probe.measure(facts)
            else:
                tf.cond(update % probe.interval == 0, functools.partial(measured, probe, facts), lambda: True)

    def own(self, batch, key):
        """The model's own training step: (what it tells, whether the loss among it is finite)."""
        with random.scope(*key), self.compiled.learning_rate_of(self.controls):
            if self.augmentation:
                data = augmented(self.augmentation, *keras.utils.unpack_x_y_sample_weight(batch))
                batch = keras.utils.pack_x_y_sample_weight(*data)
            logs = logs_of(self.compiled.model.train_step, batch)
        return logs, losses_are_finite(logs)


def measured(probe, facts):
    probe.measure(facts)
    return True


def added(total, part):
    return Total(
        gradients=[a + tf.convert_to_tensor(g) for a, g in zip(total.gradients, part.gradients)],
        good=total.good & part.good,
        squares=total.squares + part.squares,
        **{name: getattr(total, name) + getattr(part, name) for name in ("weight", "loss", "examples", "parts")},
    )
