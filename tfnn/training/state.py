"""The state of a run as arrays and a dictionary, and back, to the last bit.

Variables go by their place, not by their layer's name, which Keras counts up: dense, dense_1, ... for the same model
built again. Keras leaves the state of seed generators out of what it saves; here it is kept.
"""

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common.global_state import get_global_attribute
from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR, global_seed_generator

from tfnn.callbacks.steered_rate import SteeredRate
from tfnn.optimizers import Optimizer
from tfnn.optimizers.base import CLOCK
from tfnn.optimizers.hyperparameter import VariableRate
from tfnn.training import callback_state
from tfnn.training.fingerprint import fingerprint, inner_optimizers, last_part

GLOBAL = "seeds/global"  # of layers that draw without a seed of their own; Keras has no public name for it


def capture(model, callbacks=(), augmentation=()):
    """(arrays, meta) of a run between two updates.

    Args:
        model: compiled and built, with its loss and metrics.
        callbacks: in the run's order. `tfnn.training.callback_state` says what is kept of which.
        augmentation: the layers of `fit(augment=...)`, whose state is no part of the model.

    Raises:
        ValueError: for a callback whose `get_state()` gives what cannot be kept.
    """
    arrays = {name: variable.numpy() for name, variable in variables_of(model, augmentation).items()}
    generator = get_global_attribute(GLOBAL_SEED_GENERATOR)
    if generator is not None:
        arrays[GLOBAL] = generator.state.numpy()
    meta = {
        "fingerprint": fingerprint(model),
        "optimizer_weights": {name: places_of(optimizer, model) for name, optimizer in optimizers(model).items()},
        "stop_training": bool(model.stop_training),
        "callbacks": callback_state.capture(callbacks, arrays),
    }
    return arrays, meta


def restore(model, callbacks, arrays, meta, augmentation=()):
    """Sets the run to what `capture` gave. After `on_train_begin`, in which Keras's callbacks reset themselves.

    An optimizer that is not built, or for fewer weights, is built for those that it had. Nothing changes on an error.

    Raises:
        ValueError: where the model's, metrics' or optimizer's variables are others than those of the checkpoint.
    """
    for name, places in meta["optimizer_weights"].items():
        if name in optimizers(model):
            build_optimizer(optimizers(model)[name], [model.weights[place] for place in places if place < len(model.weights)])
            set_clocks(optimizers(model)[name], name, model.weights, arrays)
    variables = variables_of(model, augmentation)
    held = {name: array for name, array in arrays.items() if name != GLOBAL and not name.startswith("callbacks/")}
    for name in sorted(held.keys() | variables.keys()):
        ours = form(variables[name]) if name in variables else "none"
        theirs = form(held[name]) if name in held else "none"
        if ours != theirs:
            raise ValueError(f"the run's state is not that of the checkpoint: {name} is {ours}, the checkpoint's {theirs}")
    for name, variable in variables.items():
        variable.assign(held[name])
    if GLOBAL in arrays:
        global_seed_generator().state.assign(arrays[GLOBAL])
    model.stop_training = meta["stop_training"]
    callback_state.restore(callbacks, meta["callbacks"], arrays)


def restore_weights(model, arrays):
    """Sets those weights of the model that fit to what `capture` gave, before anything is computed with them."""
    for index, weight in enumerate(unique(model.weights)):
        array = arrays.get(f"weights/{index}/{last_part(weight)}")
        if array is not None and array.shape == tuple(weight.shape):
            weight.assign(array)


def form(variable):
    return f"{np.dtype(dtype_of(variable)).name} {tuple(variable.shape)}"


def dtype_of(variable):
    return variable.dtype.as_numpy_dtype if isinstance(variable, tf.Variable) else variable.dtype


def variables_of(model, augmentation=()):
    """{name: variable} of all that an update reads and changes, the same names for the same model built again."""
    layers = [model, *(step for step in augmentation if isinstance(step, keras.layers.Layer))]
    every = list(unique(part for layer in layers for part in layer._flatten_layers()))
    weights = list(unique(weight for layer in layers for weight in layer.weights))
    metrics = list(unique(variable for metric in model.metrics for variable in metric.variables))
    generators = unique(generator for layer in every for generator in layer._seed_generators)
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
    """{name: variable} of an optimizer and those inside it; tfnn's by the places of their weights."""
    inner = inner_optimizers(optimizer)
    if isinstance(optimizer, Optimizer):
        found = tfnn_variables(optimizer, weights)
    else:
        of_inner = {id(variable) for part in inner for variable in part.variables}
        own = [variable for variable in optimizer.variables if id(variable) not in of_inner]
        found = {str(index): variable for index, variable in enumerate(own)}
    rate = getattr(optimizer, "_learning_rate", None)
    if isinstance(rate, SteeredRate):
        found |= {"learning_rate/rate": rate.rate, "learning_rate/factor": rate.factor}
    found = {f"{name}/{key}": variable for key, variable in found.items()}
    for index, part in enumerate(inner):
        found |= optimizer_variables(part, f"{name}/{index}", weights)
    return found


def tfnn_variables(optimizer, weights):
    """Their order is that in which weights joined; numbers that may be set in a run stand outside `variables`."""
    place = {id(weight): index for index, weight in enumerate(weights)}
    found = {f"own/{index}": variable for index, (_, variable) in enumerate(optimizer.own_variables())}
    for weight in optimizer._trainable_variables:
        for path, variable in optimizer.entries([weight]) + optimizer.clock_entries([weight]):
            found[f"{place[id(weight)]}/{path.rpartition('/')[2]}"] = variable
    found |= {key: variable for key, variable in optimizer.hyperparameters.items() if variable is not None}
    if isinstance(optimizer._learning_rate, VariableRate):
        found["learning_rate"] = optimizer._learning_rate.variable
    return found


def optimizers(model):
    """{name: optimizer}: that of `compile`, and those that a model with a training step of its own keeps beside it."""
    beside = {f"optimizer {name}": part for name, part in vars(model).items() if isinstance(part, keras.optimizers.Optimizer)}
    return {"optimizer": model.optimizer} | {name: part for name, part in beside.items() if part is not model.optimizer}


def places_of(optimizer, model):
    """The places among the model's weights of those that the optimizer holds state for, in its order."""
    place = {id(weight): index for index, weight in enumerate(model.weights)}
    return [place[id(weight)] for weight in optimizer._trainable_variables]


def build_optimizer(optimizer, weights):
    if not optimizer.built and weights:
        optimizer.build(weights)
    elif isinstance(optimizer, Optimizer):
        optimizer._check_variables_are_known(weights)


def set_clocks(optimizer, name, weights, arrays):
    """Gives an optimizer, and those inside it, the clocks that the checkpoint's had; not all weights need one."""
    for index, part in enumerate(inner_optimizers(optimizer)):
        set_clocks(part, f"{name}/{index}", weights, arrays)
    if isinstance(optimizer, Optimizer):
        counts = [arrays.get(f"{name}/{place}/{CLOCK}") for place in range(len(weights))]
        optimizer.clocks.restore([(weight, None if n is None else int(n)) for weight, n in zip(weights, counts)])
