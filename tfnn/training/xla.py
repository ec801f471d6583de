"""When to compile with XLA: a rule that can be read, not a race of timings."""

import inspect

import keras

from tfnn.distribute import device_type
from tfnn.training.compiled import code_of, layers_of

# XLA's CPU backend runs these slower than TensorFlow's own kernels do, convolutions inside loops above all.
SLOW_ON_CPU = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
    keras.layers.MaxPooling1D,
    keras.layers.MaxPooling2D,
    keras.layers.MaxPooling3D,
    keras.layers.AveragePooling1D,
    keras.layers.AveragePooling2D,
    keras.layers.AveragePooling3D,
    keras.layers.RNN,
    keras.layers.Embedding,
)


STEPS = "train_step", "test_step", "compute_loss", "compute_metrics"


def own_code(part):
    """Whether a model, layer, loss or metric is neither Keras's nor tfnn's, or holds a function of its user."""
    home = getattr(part if inspect.isfunction(part) else type(part), "__module__", "").split(".")[0]
    own_step = isinstance(part, keras.Model) and any(step in vars(part) for step in STEPS)
    return home not in ("keras", "tfnn") or own_step or isinstance(part, keras.layers.Lambda)


def choose_jit(model, asked, augmentation=(), source=None, head=None):
    """Whether to compile the training graph with XLA, and why.

    Args:
        model: a Keras model.
        asked: what the caller of `fit` wants: True, False or "auto". It wins over what the model was compiled with, except
            that "auto" keeps an explicit `compile(jit_compile=True)`; False cannot be told there from Keras's default.
        augmentation: the layers and functions that `fit(augment=...)` puts before the model.
        source: what `fit` reads, where it is known.
        head: the part of the model that is trained, where the rest was computed before.

    Returns:
        (bool, reason in words).

    Raises:
        ValueError: for another `asked`.
    """
    if asked not in (True, False, "auto"):
        raise ValueError(f"jit_compile={asked!r} must be True, False or 'auto'")
    device = device_type(model.distribute_strategy)
    if device == "TPU":
        return False, "a TPU compiles by itself"
    if asked != "auto":
        return asked, "as asked"
    layers = layers_of(head or model)
    before = [layer for step in augmentation if isinstance(step, keras.Layer) for layer in layers_of(step, include_self=True)]
    for layer in before + layers:
        if not layer.supports_jit:
            return False, f"layer {layer.name!r} does not support XLA"
    if getattr(source, "ragged", False):
        return False, "XLA compiles anew for each length, and lengths differ from batch to batch"
    if device == "GPU":
        return True, "a GPU gains from fused kernels"
    if model.jit_compile:
        return True, "as compiled"
    for part in code_of(model, layers):
        if own_code(part):
            name = getattr(part, "__name__", type(part).__name__)
            return False, f"{name} may hold what XLA cannot compile, and Keras, too, runs it without"
    for layer in layers:
        if isinstance(layer, SLOW_ON_CPU):
            return False, f"XLA on a CPU is slow at {type(layer).__name__}"
    return True, "dense layers on a CPU gain from fused kernels"
