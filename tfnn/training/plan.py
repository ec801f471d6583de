"""How much of the same work a model is sure to do: what `tfnn.training.xla` weighs against the seconds that compiling takes."""

import math
from typing import NamedTuple

from tfnn.training.arrays import Arrays
from tfnn.training.compiled import Compiled
from tfnn.training.hooks import epochs_before_stop
from tfnn.training.introduction import form_of


class Plan(NamedTuple):
    """How often a run uses each body that XLA would compile, as far as that is sure."""

    updates: int  # batches that are trained
    validated: int  # batches that are validated
    epochs: int  # each has one last, smaller batch of both, or none


def planned(model, callbacks, source, validation, first, last, micro_batches, validation_steps, validation_freq):
    """The `Plan` of epochs `first` to `last`, with what earlier fits did on batches of the same form: several fits add up.

    Args:
        source, validation: what is read.
        callbacks: of which one may stop the run.
        micro_batches: trained in an epoch, or None for a pass over `source`.
    """
    stops = [epochs for epochs in map(epochs_before_stop, callbacks) if epochs is not None]
    epochs = max(0, math.ceil(min([last - first, *stops])))  # a patience may be no whole number
    validated = 0
    if validation is not None:
        compiled = Compiled(model)
        passes = sum(compiled.validates(epoch, validation_freq) for epoch in range(first, first + epochs))
        validated = passes * (validation_steps or validation.length or 0)
    plan = Plan(epochs * (micro_batches or source.length or 0), validated, epochs)
    return with_earlier(model, source, Plan(*map(int, plan)))  # numpy's integers are none that a checkpoint can hold


def with_earlier(model, source, plan):
    """`plan` and what earlier fits of the model did on batches of the same form."""
    earlier = getattr(model, "_tfnn_done", {}).get(form(source), Plan(0, 0, 0))
    return Plan(*(now + before for now, before in zip(plan, earlier)))


def remember(model, source, done):
    """Adds what a fit did, a `Plan`, to what later ones count."""
    held = getattr(model, "_tfnn_done", {}) | {form(source): with_earlier(model, source, done)}
    object.__setattr__(model, "_tfnn_done", held)  # past Keras's tracking: no part of the saved model


def form(source):
    """What XLA compiles for, as a key. A stream may learn its batch size only as it is read."""
    return form_of(source), source.micro_batch if isinstance(source, Arrays) else None
