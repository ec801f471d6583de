"""How much of the same work a model is sure to do: what `tfnn.training.graph.xla` weighs against the cost of compiling."""

import math
from typing import NamedTuple

from tfnn.training.graph.compiled import Compiled
from tfnn.training.graph.held import held, hold
from tfnn.training.loop.hooks import epochs_before_stop
from tfnn.training.loop.introduction import form_of
from tfnn.training.source.arrays import Arrays


class Work(NamedTuple):
    """How often a run uses each body that XLA would compile, as far as that is sure."""

    updates: int  # batches that are trained
    validated: int  # batches that are validated
    epochs: int  # each has one last, smaller batch of both, or none


def planned(model, callbacks, data, epochs, batches=None, validation_steps=None, validation_freq=1):
    """The `Work` of a run, with what earlier fits did on batches of the same form: several fits add up.

    Args:
        callbacks: of which one may stop the run.
        data: (source, validation), what is read.
        epochs: the `range` of those to come.
        batches: trained in an epoch, or None for a pass over the source.
    """
    source, validation = data
    stops = [number for number in map(epochs_before_stop, callbacks) if number is not None]
    sure = epochs[: max(0, math.ceil(min([len(epochs), *stops])))]  # a patience may be no whole number
    validated = 0
    if validation is not None:
        compiled = Compiled(model)
        passes = sum(compiled.validates(epoch, validation_freq) for epoch in sure)
        validated = passes * (validation_steps or validation.length or 0)
    work = Work(len(sure) * (batches or source.length or 0), validated, len(sure))
    return with_earlier(model, source, Work(*map(int, work)))  # numpy's integers are none that a checkpoint can hold


def with_earlier(model, source, work):
    """`work` and what earlier fits of the model did on batches of the same form."""
    earlier = (held(model, "done") or {}).get(form(source), Work(0, 0, 0))
    return Work(*(now + before for now, before in zip(work, earlier)))


def remember(model, source, done):
    """Adds what a fit did, a `Work`, to what later ones count."""
    hold(model, "done", (held(model, "done") or {}) | {form(source): with_earlier(model, source, done)})


def form(source):
    """What XLA compiles for, as a key. A stream may learn its batch size only as it is read."""
    return form_of(source), source.micro_batch if isinstance(source, Arrays) else None
