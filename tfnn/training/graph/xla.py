"""When to compile with XLA: a rule that can be read, not a race of timings.

Compiling costs seconds, in which a short run would be done, and what it gains is a part of each update. Both grow with the
number of operations, so the number of updates from which on it pays hardly depends on a network's depth. It does depend on
the kind of network: `python -m tests.benchmarks xla` measures it, and `PAYS` holds what it found.

On a GPU the rule follows Keras, whose `compile` chooses XLA there wherever the layers allow it; a TPU compiles by itself.
tfnn was run on neither yet.
"""

import dataclasses
import inspect

import keras

from tfnn.distribute import device_type
from tfnn.internals.layers import layers_of
from tfnn.training.graph.compiled import code_of

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
)
WIDE = 160  # units of an LSTM up to which XLA gained: 1.1 times at 160, 1.0 at 192, 0.9 at 256

HEAVY = keras.layers.RNN, keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention, keras.layers.Attention
PAYS = {"heavy": 500, "light": 4000}  # updates


@dataclasses.dataclass(frozen=True)
class Jit:
    """What XLA compiles of a pass over data: nothing; whole batches; or the last, smaller one (`tail`), too."""

    on: bool
    tail: bool = False

    def __str__(self):
        return ("on, for the last batch of an epoch, too" if self.tail else "on") if self.on else "off"


OFF = Jit(False)


STEPS = "train_step", "test_step", "compute_loss", "compute_metrics"


def own_code(part):
    """Whether a model, layer, loss or metric is neither Keras's nor tfnn's, or holds a function of its user."""
    home = getattr(part if inspect.isfunction(part) else type(part), "__module__", "").split(".")[0]
    own_step = isinstance(part, keras.Model) and any(step in vars(part) for step in STEPS)
    return home not in ("keras", "tfnn") or own_step or isinstance(part, keras.layers.Lambda)


def draws(layer):
    """Whether a layer of Keras's own draws random numbers in training. tfnn's layers draw the same numbers everywhere.

    A Dropout of 128 units took an update of 0.3 ms to 1.2 ms: XLA computes its generator anew for each number.
    """
    if type(layer).__module__.split(".")[0] != "keras":
        return False
    amount = any(getattr(layer, name, 0) for name in ("rate", "stddev", "dropout", "recurrent_dropout"))
    return hasattr(layer, "generator") or (hasattr(layer, "seed_generator") and amount)


def choose_jit(model, asked, work, augmentation=(), source=None, head=None):
    """What XLA compiles of training, of validation, and why.

    Args:
        model: a Keras model.
        asked: what the caller of `fit` wants: True, False or "auto". It wins over what the model was compiled with, except
            that "auto" keeps an explicit `compile(jit_compile=True)`; False cannot be told there from Keras's default.
        work: the `tfnn.training.loop.work.Work` of the run.
        augmentation: the layers and functions that `fit(augment=...)` puts before the model.
        source: what `fit` reads, where it is known.
        head: the part of the model that is trained, where the rest was computed before.

    Returns:
        (`Jit`, `Jit`, reason in words).

    Raises:
        ValueError: for another `asked`.
    """
    if asked not in (True, False, "auto"):
        raise ValueError(f"jit_compile={asked!r} must be True, False or 'auto'")
    layers = layers_of(head or model)
    enough = PAYS["heavy" if any(isinstance(layer, HEAVY) for layer in layers) else "light"]
    on, why = suits(model, asked, augmentation, source, layers)
    if on is None:
        on, why = work.updates >= enough, f"{work.updates} updates are sure, and compiling pays from {enough} on"
    validation, tail = on and (asked is True or work.validated >= enough), work.epochs >= enough
    return Jit(on, on and tail), Jit(validation, validation and tail), why


def suits(model, asked, augmentation, source, layers):
    """(True or False where that is settled, else None; why): all of the rule but how much there is to do."""
    device = device_type(model.distribute_strategy)
    if device == "TPU":
        return False, "a TPU compiles by itself"
    if asked != "auto":
        return asked, "as asked"
    before = [layer for step in augmentation if isinstance(step, keras.Layer) for layer in layers_of(step, include_self=True)]
    for layer in before + layers:
        if not layer.supports_jit:
            return False, f"layer {layer.name!r} does not support XLA"
        if getattr(layer, "stateful", False):  # its gradients broadcast a state of static size over batches of dynamic size
            return False, f"XLA cannot compile a layer that keeps its state, as {layer.name!r}, for batches of any size"
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
    for layer in before + layers:
        if draws(layer):
            return False, f"XLA draws other numbers for Keras's {type(layer).__name__}, and slowly on a CPU"
    for layer in layers:
        if isinstance(layer, SLOW_ON_CPU):
            return False, f"XLA on a CPU is slow at {type(layer).__name__}"
        if isinstance(layer, keras.layers.LSTM) and layer.units > WIDE:
            return False, f"XLA on a CPU is slow at an LSTM of more than {WIDE} units"
    return None, None
