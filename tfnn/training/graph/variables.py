"""All that an update reads and changes, by names that are the same for the same model built again.

Variables go by their place, not by their layer's name, which Keras counts up: dense, dense_1, ... for the same model
built again. Keras leaves the state of seed generators out of what it saves; here it is kept.
"""

import keras
import tensorflow as tf

from tfnn.controls import SettableRate, TellingOptimizer
from tfnn.controls.nested import inner_optimizers
from tfnn.internals.layers import layers_of, seed_generators_of
from tfnn.internals.optimizers import rate_if_any


def variables_of(model, augmentation=()):
    """{name: variable} of all that an update reads and changes, the same names for the same model built again."""
    layers = [model, *(step for step in augmentation if isinstance(step, keras.layers.Layer))]
    every = list(unique(part for layer in layers for part in layers_of(layer, include_self=True)))
    weights = list(unique(weight for layer in layers for weight in layer.weights))
    metrics = list(unique(variable for metric in model.metrics for variable in metric.variables))
    generators = unique(generator for layer in every for generator in seed_generators_of(layer))
    plain = unique(value for layer in every for value in vars(layer).values() if isinstance(value, tf.Variable))
    named = {
        **{f"weights/{index}/{last_part(weight)}": weight for index, weight in enumerate(weights)},
        **{f"metrics/{index}/{last_part(variable)}": variable for index, variable in enumerate(metrics)},
        **{f"seeds/{index}": generator.state for index, generator in enumerate(generators)},
        **{f"variables/{index}": variable for index, variable in enumerate(plain)},
    }
    for name, optimizer in optimizers(model).items():
        named |= optimizer_variables(optimizer, name, weights)
    return named


def unique(parts):
    return {id(part): part for part in parts}.values()


# Optimizers ----------------------------------------------------------------------------------------------------------


def optimizer_variables(optimizer, name, weights):
    """{name: variable} of an optimizer and those inside it; by the places of its weights where it tells them."""
    inner = inner_optimizers(optimizer)
    if isinstance(optimizer, TellingOptimizer):
        found = optimizer.state_by_place(weights)
    else:
        of_inner = {id(variable) for part in inner for variable in part.variables}
        own = [variable for variable in optimizer.variables if id(variable) not in of_inner]
        found = {str(index): variable for index, variable in enumerate(own)}
    rate = rate_if_any(optimizer)
    found |= rate.state if isinstance(rate, SettableRate) else {}
    found = {f"{name}/{key}": variable for key, variable in found.items()}
    for index, part in enumerate(inner):
        found |= optimizer_variables(part, f"{name}/{index}", weights)
    return found


def optimizers(model):
    """{name: optimizer}: that of `compile`, and those that a model with a training step of its own keeps beside it."""
    beside = {f"optimizer {name}": part for name, part in vars(model).items() if isinstance(part, keras.optimizers.Optimizer)}
    return {"optimizer": model.optimizer} | {name: part for name, part in beside.items() if part is not model.optimizer}


def last_part(variable):
    return variable.path.rpartition("/")[2]
