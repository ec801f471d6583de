"""Shows how a signal and its gradient pass through the layers of a model (lecture, section 2)."""

import collections
import math
from typing import Any

import keras
import tensorflow as tf

from tfnn import controls
from tfnn.controls.nested import optimizers_of
from tfnn.diagnose.passes import forward_and_back, own_weights
from tfnn.diagnose.report import LayerReport, Propagation
from tfnn.diagnose.statistics import array, dead_share, moments, saturated_share
from tfnn.diagnose.update import squared_steps, unchanged
from tfnn.internals.layers import layers_of
from tfnn.training.graph.held import held


def propagation(model: keras.Model, batch: Any) -> Propagation:
    """Sends one batch forward and its gradient back, and reports on both, layer by layer.

    For the output x_l of each layer l and the loss L, it gives mean and variance of x_l and of ∂L/∂x_l over examples,
    positions and units. A good initialisation keeps both over the depth: Var(x_l) = n Var(w) Var(x_{l−1}) (lecture, section
    2; Glorot & Bengio 2010, section 4.2; He et al. 2015, arXiv:1502.01852, section 2.2). It also gives ‖Δθ‖/‖θ‖ for one
    update by the model's own optimizer.

    The pass is one of training: BatchNorm uses the batch, dropout is on, losses of regularizers are included; a `train_step`
    of the model's own is not called. Afterwards the model is unchanged, to the bit: weights, moving statistics, seed
    generators, metrics, optimizer.

    Args:
        model: a compiled `keras.Model` of any kind, on one device.
        batch: (x, y) or (x, y, sample_weight): arrays or tensors with the examples along the first axis, or lists or dicts
            of them. With fewer than about 100 examples, units that are rarely active look dead.

    Returns:
        A `Propagation`. A layer has a row for each time it runs if it has weights or contains no other layers; layers that
        only reshape have none. If Keras computes the loss from an output's logits, the gradient is that of the logits.

    Raises:
        ValueError: if the model is not compiled or has several replicas, or the batch has another form.

    Example:
        >>> model = tfnn.models.mlp((8, 8, 1), 10, hidden=[64] * 20)
        >>> model.compile("adam", "sparse_categorical_crossentropy")
        >>> report = tfnn.diagnose.propagation(model, (x[:128], y[:128]))
        >>> print(report)
    """
    if not model.compiled:
        raise ValueError(f"model {model.name!r} is not compiled: call model.compile(optimizer, loss) first")
    if model.distribute_strategy.num_replicas_in_sync > 1:
        raise ValueError("propagation runs on one device, but the model's strategy has several replicas")
    x, y, sample_weight = tensors(batch)
    if not all(layer.built for layer in layers_of(model)):
        with unchanged(model.variables):
            model(x, training=False)
    known = [*model.variables, *model.metrics_variables]
    with unchanged(known):
        passes = forward_and_back(model, x, y, sample_weight)
    for variable in model.metrics_variables:
        if all(variable is not other for other in known):  # Keras has just built it, for a loss
            variable.assign(tf.zeros_like(variable.value))
    optimizer, steps, rate = model.optimizer, None, None
    if optimizer is not None:
        with controls.use(clock(model, len(keras.tree.flatten(x)[0]))):
            steps = squared_steps(optimizer, passes.weight_gradients, model.trainable_weights)
            rate = float(array(optimizers_of(optimizer)[0].learning_rate))
    examples = len(keras.tree.flatten(x)[0])
    return Propagation(tuple(rows(model, passes, steps, examples)), float(passes.loss), rate)


def clock(model, examples):
    """The `Controls` that schedules in epochs read: those of the model's last run of `tfnn.fit`, or of a run that starts."""
    graph = held(model, "graph")
    if graph is not None:
        return graph.controls
    run = controls.Controls(micro_batch=examples)
    run.begin(rows=examples, epoch=0, seed=0)
    return run


def tensors(batch):
    """[x, y, sample_weight] as tensors, or nests of them."""
    if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
        found = f"{len(batch)} parts" if isinstance(batch, (tuple, list)) else type(batch).__name__
        raise ValueError(f"batch must be (x, y) or (x, y, sample_weight), got {found}")
    data = [keras.tree.map_structure(tensor, part) for part in (*batch, None)[:3]]
    lengths = [{len(array) for array in keras.tree.flatten(part) if array is not None} for part in data]
    if len(set.union(*lengths)) != 1 or not lengths[0] or 0 in lengths[0]:
        found = ", ".join(f"{name}: {sorted(sizes)}" for name, sizes in zip(("x", "y", "sample_weight"), lengths) if sizes)
        raise ValueError(f"all arrays of a batch must hold the same number of examples, at least 1, got {found or 'none'}")
    return data


def tensor(array):
    if array is None:
        return None
    if not getattr(array, "shape", ()):
        raise ValueError(f"a batch is made of arrays with the examples first, got {type(array).__name__}")
    array = tf.convert_to_tensor(array)
    return tf.cast(array, keras.config.floatx()) if array.dtype.is_floating else array


def rows(model, passes, steps, examples):
    path, times = paths(model), collections.Counter()
    predictions = {id(prediction) for prediction in passes.predictions}
    for layer, output, gradient in zip(passes.layers, passes.outputs, passes.gradients):
        times[id(layer)] += 1
        again = f" ({times[id(layer)]})" if times[id(layer)] > 1 else ""
        weights = [weight for weight in own_weights(layer, passes.layers) if weight.trainable]
        norm = math.sqrt(sum((array(weight) ** 2).sum() for weight in weights))
        values = array(output)
        yield LayerReport(
            path=path[id(layer)] + again,
            kind=type(layer).__name__,
            shape=tuple(output.shape[1:]),
            activation=moments(values, examples),
            gradient=None if gradient is None else moments(array(gradient) / passes.scale, examples),
            dead=dead_share(layer, values),
            saturated=saturated_share(layer, values),
            weight_norm=norm if weights else None,
            update_ratio=math.sqrt(sum(steps[id(weight)] for weight in weights)) / norm if steps and norm else None,
            prediction=id(output) in predictions,
        )


def paths(model):
    """{id of a layer: its path}. If a layer is held in several places, the one nearest to the top counts."""
    found, outer = {}, collections.deque([(model, "")])
    while outer:
        layer, prefix = outer.popleft()
        for inner in layers_of(layer, recursive=False):
            if id(inner) not in found:
                found[id(inner)] = prefix + inner.name
                outer.append((inner, f"{found[id(inner)]}/"))
    return found
