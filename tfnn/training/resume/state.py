"""The state of a run as arrays and a dictionary, and back, to the last bit.

Variables go by their place, not by their layer's name, which Keras counts up: dense, dense_1, ... for the same model
built again. Keras leaves the state of seed generators out of what it saves; here it is kept.
"""

import tensorflow as tf

from tfnn.controls import TellingOptimizer
from tfnn.controls.nested import inner_optimizers
from tfnn.internals.optimizers import weights_of
from tfnn.internals.random import global_seeds, made_global_seeds
from tfnn.optimizers.base import CLOCK
from tfnn.training.graph.variables import last_part, optimizers, unique, variables_of
from tfnn.training.resume import callback_state
from tfnn.training.resume.fingerprint import fingerprint

GLOBAL = "seeds/global"  # of layers that draw without a seed of their own; Keras has no public name for it


def capture(model, callbacks=(), variables=None):
    """(arrays, meta) of a run between two updates.

    Args:
        model: compiled and built, with its loss and metrics.
        callbacks: in the run's order. `tfnn.training.resume.callback_state` says what is kept of which.
        variables: a function that gives {name: variable} of all that an update reads and changes; None asks the model.

    Raises:
        ValueError: for a callback whose `get_state()` gives what cannot be kept.
    """
    arrays = {name: variable.numpy() for name, variable in (variables() if variables else variables_of(model)).items()}
    generator = global_seeds()
    if generator is not None:
        arrays[GLOBAL] = generator.state.numpy()
    meta = {
        "fingerprint": fingerprint(model),
        "optimizer_weights": {name: places_of(optimizer, model) for name, optimizer in optimizers(model).items()},
        "stop_training": bool(model.stop_training),
        "callbacks": callback_state.capture(callbacks, arrays),
    }
    return arrays, meta


def restore(model, callbacks, arrays, meta, variables=None):
    """Sets the run to what `capture` gave. After `on_train_begin`, in which Keras's callbacks reset themselves.

    An optimizer that is not built, or for fewer weights, is built for those that it had. Nothing changes on an error.

    Raises:
        ValueError: where the model's, metrics' or optimizer's variables are others than those of the checkpoint.
    """
    for name, places in meta["optimizer_weights"].items():
        if name in optimizers(model):
            weights = [model.weights[place] for place in places if place < len(model.weights)]
            build_optimizer(optimizers(model)[name], weights, model)
            set_clocks(optimizers(model)[name], name, model.weights, arrays)
    variables = variables() if variables else variables_of(model)
    held = {name: array for name, array in arrays.items() if name != GLOBAL and not name.startswith("callbacks/")}
    for name in sorted(held.keys() | variables.keys()):
        ours = form(variables[name]) if name in variables else "none"
        theirs = form(held[name]) if name in held else "none"
        if ours != theirs:
            raise ValueError(f"the run's state is not that of the checkpoint: {name} is {ours}, the checkpoint's {theirs}")
    for name, variable in variables.items():
        variable.assign(held[name])
    if GLOBAL in arrays:
        made_global_seeds().state.assign(arrays[GLOBAL])
    model.stop_training = meta["stop_training"]
    callback_state.restore(callbacks, meta["callbacks"], arrays)


def restore_weights(model, arrays):
    """Sets those weights of the model that fit to what `capture` gave, before anything is computed with them."""
    for index, weight in enumerate(unique(model.weights)):
        array = arrays.get(f"weights/{index}/{last_part(weight)}")
        if array is not None and array.shape == tuple(weight.shape):
            weight.assign(array)


def form(variable):
    return f"{tf.as_dtype(variable.dtype).name} {tuple(variable.shape)}"


# Optimizers ----------------------------------------------------------------------------------------------------------


def places_of(optimizer, model):
    """The places among the model's weights of those that the optimizer holds state for, in its order."""
    place = {id(weight): index for index, weight in enumerate(model.weights)}
    return [place[id(weight)] for weight in weights_of(optimizer)]


def build_optimizer(optimizer, weights, model):
    """Makes the state of some weights of a model, whatever is known of others."""
    if isinstance(optimizer, TellingOptimizer):
        optimizer.belong_together(model.weights)
    if not optimizer.built and weights:
        optimizer.build(weights)
    elif isinstance(optimizer, TellingOptimizer):
        optimizer.take_in(weights)


def set_clocks(optimizer, name, weights, arrays):
    """Gives an optimizer, and those inside it, the clocks that the checkpoint's had; not all weights need one."""
    for index, part in enumerate(inner_optimizers(optimizer)):
        set_clocks(part, f"{name}/{index}", weights, arrays)
    if isinstance(optimizer, TellingOptimizer):
        counts = [arrays.get(f"{name}/{place}/{CLOCK}") for place in range(len(weights))]
        optimizer.set_clocks(weights, [None if count is None else int(count) for count in counts])
