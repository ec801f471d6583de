"""Measures what one step of a model's own optimizer would change, and undoes the step."""

import contextlib
import copy

import numpy as np
import tensorflow as tf

from tfnn.controls.nested import optimizers_of
from tfnn.diagnose.statistics import array
from tfnn.internals.optimizers import strategy_of, weights_of
from tfnn.optimizers import Optimizer


@contextlib.contextmanager
def unchanged(variables):
    """Restores the variables after the block to their values before it, to the bit."""
    before = [(variable, tf.identity(variable.value)) for variable in variables]
    try:
        yield
    finally:
        for variable, value in before:
            variable.assign(value)


def squared_steps(optimizer, gradients, weights):
    """{id of a weight: ‖Δθ‖²} of one update by `optimizer`. Weights and optimizer are then restored.

    With `gradient_accumulation_steps`, the same gradients are applied until an update is due. Raises ValueError if a weight
    is unknown to the optimizer.
    """
    reached = [(gradient, weight) for gradient, weight in zip(gradients, weights) if gradient is not None]
    if not reached:
        return {id(weight): 0.0 for weight in weights}
    if not optimizer.built:
        optimizer = built_twin(optimizer, weights)
    known = {id(weight) for inner in optimizers_of(optimizer) for weight in weights_of(inner)}
    unknown = [weight.path for weight in weights if id(weight) not in known]
    if unknown and isinstance(optimizer, Optimizer):  # applying would add the weights to it
        optimizer = built_twin(optimizer, weights)
    elif unknown:
        raise ValueError(f"{unknown[0]} became trainable after the optimizer was built: call model.compile again")
    with unchanged([*weights, *optimizer.variables]):
        before = [array(weight) for weight in weights]
        for _ in range(optimizers_of(optimizer)[0].gradient_accumulation_steps or 1):
            optimizer.apply_gradients(reached)
        with np.errstate(all="ignore"):
            return {id(w): float(np.sum((array(w) - value) ** 2)) for w, value in zip(weights, before)}


def built_twin(optimizer, weights):
    """A built copy of an optimizer that has not been built yet and so has no slots.

    It is copied field by field: a configuration would lose what methods have set, and schedules that cannot be serialised.
    """
    twin, strategy = object.__new__(type(optimizer)), strategy_of(optimizer)
    shared = {id(one): one for one in (strategy, *weights)}
    vars(twin).update(copy.deepcopy(vars(optimizer), {id(optimizer): twin, **shared}))
    with strategy.scope():
        twin.build(weights)
    return twin
