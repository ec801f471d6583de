"""Layer-sequential unit variance (Mishkin & Matas 2016, "All you need is a good init", arXiv:1511.06422, algorithm 1)."""

import contextlib
import math
import re
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfnn.initializers.orthogonal import Orthogonal
from tfnn.internals.layers import layers_of
from tfnn.taps import tapped

CONVOLUTION = keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D
TRANSPOSED = keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose
DEPTHWISE = keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D
SEPARABLE = keras.layers.SeparableConv1D, keras.layers.SeparableConv2D
LAYERS = keras.layers.Dense, keras.layers.EinsumDense, *CONVOLUTION, *TRANSPOSED, *DEPTHWISE, *SEPARABLE
KERNELS = "kernel", "depthwise_kernel", "pointwise_kernel"


class Scaled(NamedTuple):
    """The result for one layer: its path, the variance of its output now, and how often its kernel was divided."""

    path: str
    variance: float
    iterations: int


def lsuv(
    model: keras.Model, batch: Any, tolerance: float = 0.1, max_iterations: int = 10, seed: int | None = None
) -> list[Scaled]:
    """Makes kernels orthonormal, then scales each so that the output of its layer has the variance 1 on `batch`.

    Layer by layer in the order of the forward pass: W ← orthonormal; then, while |Var(Wx + b) − 1| ≥ `tolerance`,
    W ← W / √Var(Wx + b). The variance is over all numbers of the output, before the layer's activation.

    Mishkin & Matas 2016, arXiv:1511.06422, algorithm 1. Where the variance is not reached, the paper goes on to the next
    layer; here that is an error. The kernels are those of dense and convolution layers at any depth of the model; in a
    separable convolution the pointwise kernel is divided. Frozen layers stay as they are, and a layer that is called several
    times is scaled at its first call. Nothing but kernels changes; after an error, nothing has changed at all.

    Args:
        model: a Keras model, built or not.
        batch: inputs as `model(batch)` takes them, like those that the model will be trained on.
        tolerance: Tol_var, positive.
        max_iterations: T_max, how often one kernel may be divided at most.
        seed: the seed of the orthonormal kernels: an int, or None for a fresh one.

    Returns:
        A list of `(path, variance, iterations)`, one for each layer in the order of the forward pass.

    Raises:
        ValueError: for an empty batch, a model without trainable kernels, an output whose variance is 0 or not finite, or
            one whose variance does not reach 1, as with large biases.

    Example:
        >>> model = tfnn.models.mlp(x_train.shape[1:], 10, hidden=(256,) * 30)
        >>> report = tfnn.initializers.lsuv(model, x_train[:256], seed=1)
    """
    if not (tolerance > 0 and max_iterations >= 1):
        raise ValueError(f"tolerance={tolerance} must be positive and max_iterations={max_iterations} at least 1")
    parts = tf.nest.flatten(batch)
    if not parts or any(0 in np.shape(part) for part in parts):
        raise ValueError(f"batch must hold examples, got the shapes {[tuple(np.shape(part)) for part in parts]}")
    seeds = keras.random.SeedGenerator(seed, name="lsuv")  # named: an unnamed one moves Keras's count of names
    report, seen, changed = [], set(), set()

    def tap(layer, inputs, output):
        kernels = [weight for weight in layer.trainable_weights if weight.name in KERNELS]
        if id(layer) in seen or not kernels:
            return output
        seen.add(id(layer))
        changed.update(id(kernel) for kernel in kernels)
        with linear(layer):
            report.append(scale(layer, kernels, inputs, tolerance, max_iterations, seeds))
        return type(layer).call(layer, inputs)

    with eager_functions():
        if not all(layer.built for layer in layers_of(model, include_self=True)):
            model(batch, training=False)
        layers = [layer for layer in layers_of(model, include_self=True) if isinstance(layer, LAYERS)]
        with others_kept(model.variables, changed), tapped(layers, tap):
            model(batch, training=False)
            check(report, model, tolerance)
    return report


def check(report, model, tolerance):
    if not report:
        raise ValueError(f"{model.name} has no trainable kernel of a dense or convolution layer")
    for path, variance, iterations in report:
        if not abs(variance - 1) < tolerance:
            raise ValueError(
                f"{path}: the variance of its output is {variance:.3g}, not 1 ± {tolerance}, after {iterations} iterations:"
                " is its input 0 or not finite, or its bias large?"
            )


def scale(layer, kernels, inputs, tolerance, max_iterations, seeds):
    """Algorithm 1 for one layer without its activation."""
    starts = [Orthogonal(seed=seeds, **layout(layer, kernel))(kernel.shape, "float32") for kernel in kernels]
    for kernel, start in zip(kernels, starts):
        kernel.assign(start)
    kernel, start = kernels[-1], starts[-1]
    divisor = 1.0  # of `start`, as a kernel that is read inside a layer has only the precision of its policy
    for iterations in range(max_iterations + 1):
        kernel.assign(start / divisor)
        variance = float(tf.math.reduce_variance(tf.cast(type(layer).call(layer, inputs), tf.float64)))
        scaled = Scaled(layer.path, variance, iterations)
        if abs(variance - 1) < tolerance or not 0 < variance < math.inf:
            break
        divisor *= math.sqrt(variance)
    return scaled


def layout(layer, kernel):
    """The arguments that tell `Orthogonal` how to read a kernel as matrices from inputs to outputs."""
    if isinstance(layer, keras.layers.EinsumDense):
        inputs, weights, outputs = re.split(",|->", layer.equation)
        rows = [axis for axis, label in enumerate(weights) if label not in outputs]
        columns = [axis for axis, label in enumerate(weights) if label not in inputs]
        return {"input_axes": rows, "output_axes": columns}
    if isinstance(layer, TRANSPOSED):
        return {"kernel": "transposed"}
    if isinstance(layer, DEPTHWISE) or kernel.name == "depthwise_kernel":
        return {"kernel": "depthwise"}
    return {"groups": layer.groups} if isinstance(layer, CONVOLUTION) else {}


@contextlib.contextmanager
def linear(layer):
    """Inside the block the layer has no activation. It is set past Keras's tracking, which refuses a layer as activation."""
    activation = layer.activation
    object.__setattr__(layer, "activation", keras.activations.linear)
    try:
        yield
    finally:
        object.__setattr__(layer, "activation", activation)


@contextlib.contextmanager
def eager_functions():
    """Inside the block each `tf.function` runs eagerly, so that what passes through it can be measured."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


@contextlib.contextmanager
def others_kept(variables, changed):
    """Restores the variables after the block, except those whose ids are in `changed`; after an error, all of them."""
    before = [(variable, variable.numpy()) for variable in variables]
    try:
        yield
    except BaseException:
        changed.clear()
        raise
    finally:
        for variable, value in before:
            if id(variable) not in changed:
                variable.assign(value)
