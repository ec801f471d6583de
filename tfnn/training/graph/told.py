"""What a model's own step tells of a batch, in the form in which a loop carries it from batch to batch.

A step may tell anything that a traced function may give: numbers, vectors over the batch, predictions, None. A loop carries
tensors, whose shape must be known as far as it stays the same.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from tfnn.training.source.batches import packed, tensors_in


class Told(NamedTuple):
    """The logs of a step: `zeros` are what a loop begins with, `form` is the nest that its tensors make up in the end."""

    zeros: Any
    form: Any

    @property
    def varies(self):
        """Whether a shape depends on the batch, as XLA's loops do not allow."""
        return any(not zeros.shape.is_fully_defined() for zeros in self.zeros)

    def packed(self, tensors):
        """The logs of which `tensors` are the carried form."""
        return tensors if tf.executing_eagerly() else packed(self.form, tensors, expand_composites=True)


NOTHING = Told([], {})


def logs_of(step, batch):
    """What a step of the model's own, a method, tells of a batch.

    Raises:
        ValueError: for what is no dict, as where a `return` was forgotten.
    """
    logs = step(batch)
    if not isinstance(logs, dict):
        name = getattr(step, "__qualname__", step)
        raise ValueError(f"{name} gave {type(logs).__name__}: it must return a dict of what it tells, such as {{'loss': loss}}")
    return logs


def told_in(form):
    """The `Told` of logs of a form, a nest of tensor specs as a trace has them for its outputs."""
    return Told([zeros_of(spec) for spec in carried(form)], form)


def carried(logs):
    """Logs as a loop carries them: a list of tensors; as they are where steps run eagerly, in loops of Python."""
    return logs if tf.executing_eagerly() else tensors_in(logs, expand_composites=True)


def zeros_of(spec):
    """A tensor of zeros whose static shape leaves open what `spec` leaves open."""
    shape = spec.shape
    zeros = tf.zeros([] if shape.rank is None else [length or 0 for length in shape], spec.dtype)
    return zeros if shape.is_fully_defined() else tf.raw_ops.PlaceholderWithDefault(input=zeros, shape=shape)


def losses_are_finite(logs):
    """Whether all that logs tell as "loss" is finite."""
    losses = tensors_in(logs.get("loss"))
    return tf.reduce_all([tf.reduce_all(tf.math.is_finite(tf.cast(loss, tf.float32))) for loss in losses])
