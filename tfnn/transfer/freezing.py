"""Which stages of a classifier are trained."""

import numbers

import keras

from tfnn.internals.layers import layers_of
from tfnn.transfer.stage_model import StageModel


def stages_of(model):
    """The `StageModel`s of a classifier, from the input to the head."""
    found = [layer for layer in model.layers if isinstance(layer, StageModel)]
    if not found:
        raise ValueError(f"model {model.name!r} has no stages: make it with tfnn.transfer.classifier")
    return found


def freeze(model: keras.Model, unfreeze: int | str = 0) -> None:
    """Freezes all stages of a classifier but the last `unfreeze`; the head is always trained.

    Args:
        model: as `tfnn.transfer.classifier` makes it.
        unfreeze: how many of the last stages are trained, an int from 0 to all of them, or "all"; all their layers, those
            too that were frozen before.

    Raises:
        ValueError: for another number, for a model without stages, and for one that is frozen as a whole.

    Example:
        >>> tfnn.transfer.freeze(model, 2)  # trains C4, C5 and the head
    """
    stages = stages_of(model)
    trained = number_of(unfreeze, len(stages))
    if not model.trainable:
        raise ValueError(
            f"model {model.name!r} is frozen as a whole, and so its head, which is to be trained: set model.trainable = True"
        )
    for index, stage in enumerate(stages):
        # each layer by itself: a stage that has the flag already would not pass it on
        for layer in layers_of(stage, include_self=True):
            layer.trainable = index >= len(stages) - trained


def flags_of(model):
    """{layer of a stage: whether it is trained}."""
    return {layer: layer.trainable for stage in stages_of(model) for layer in layers_of(stage, include_self=True)}


def number_of(unfreeze, most):
    """How many stages "all" or a number are, of `most`."""
    if unfreeze == "all":
        return most
    if isinstance(unfreeze, bool) or not isinstance(unfreeze, numbers.Integral) or not 0 <= unfreeze <= most:
        raise ValueError(f"unfreeze={unfreeze!r} must be an integer from 0 to the {most} stages, or 'all'")
    return int(unfreeze)
