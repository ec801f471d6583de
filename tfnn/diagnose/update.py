"""What one step of a model's own optimizer would change, measured and undone."""

import contextlib

import numpy as np
import tensorflow as tf

from tfnn.diagnose.statistics import array
from tfnn.training.compiled import inner


@contextlib.contextmanager
def unchanged(variables):
    """After the block the variables hold, to the bit, what they held before it."""
    before = [(variable, tf.identity(variable.value)) for variable in variables]
    try:
        yield
    finally:
        for variable, value in before:
            variable.assign(value)


def squared_steps(optimizer, gradients, weights):
    """{id of a weight: ‖Δθ‖²} of one update by `optimizer`, after which weights and optimizer are what they were.

    Under `gradient_accumulation_steps` the same gradients are given until an update falls due.
    """
    reached = [(gradient, weight) for gradient, weight in zip(gradients, weights) if gradient is not None]
    if not reached:
        return {id(weight): 0.0 for weight in weights}
    if not optimizer.built:
        optimizer = twin(optimizer)
        optimizer.build(weights)
    with unchanged([*weights, *optimizer.variables]):
        before = [array(weight) for weight in weights]
        for _ in range(inner(optimizer).gradient_accumulation_steps or 1):
            optimizer.apply(*zip(*reached))
        with np.errstate(all="ignore"):
            return {id(w): float(np.sum((array(w) - value) ** 2)) for w, value in zip(weights, before)}


def twin(optimizer):
    """A copy, to be built in the place of an optimizer that has not trained yet and so has no slots."""
    copy = type(optimizer).from_config(optimizer.get_config())
    for mine, original in zip(copy.variables, optimizer.variables):  # the rate and the count as they are now
        mine.assign(original)
    for name, value in vars(optimizer).items():  # what a method set, such as `exclude_from_weight_decay`
        vars(copy).setdefault(name, value)
    return copy
