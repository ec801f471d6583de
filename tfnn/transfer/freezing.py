"""Chooses which stages of a classifier are trained."""

import keras

from tfnn.checks import integer
from tfnn.internals.layers import layers_of
from tfnn.transfer.stage_model import StageModel


def stages_of(model):
    """The `StageModel`s of a classifier, from the input to the head."""
    found = [layer for layer in model.layers if isinstance(layer, StageModel)]
    if not found:
        raise ValueError(f"model {model.name!r} has no stages: make it with tfnn.transfer.classifier")
    return found


def freeze(model: keras.Model, unfreeze: int | str = 0) -> None:
    """Freezes all stages of a classifier except the last `unfreeze`; the head is always trained.

    Args:
        model: made by `tfnn.transfer.classifier`.
        unfreeze: how many of the last stages are trained: an int from 0 to their number, or "all". All layers of these
            stages are trained, even if they were frozen before.

    Raises:
        ValueError: for any other number, if the model has no stages, or if it is frozen as a whole.

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
        # layer by layer, because a stage that already has the flag would not pass it on
        for layer in layers_of(stage, include_self=True):
            layer.trainable = index >= len(stages) - trained


def flags_of(model):
    """{layer: whether it is trained} of all stages."""
    return {layer: layer.trainable for stage in stages_of(model) for layer in layers_of(stage, include_self=True)}


def number_of(unfreeze, most):
    """Checks `unfreeze` and returns it as a number of stages; `most` is how many there are."""
    if unfreeze == "all":
        return most
    return integer("unfreeze", unfreeze, 0, most + 1, f"an integer from 0 to the {most} stages, or 'all'")
