"""Learning rates that fall from the head down."""

import keras

from tfnn.optimizers import Optimizer
from tfnn.optimizers.nested import optimizers_of
from tfnn.transfer.freezing import stages_of


def layerwise_decay(model: keras.Model, decay: float = 1 / 2.6) -> None:
    """Has the stages of a classifier learn at a rate that falls from the head down: η · decayᵏ for the k-th below it.

    Early layers hold what is common to many tasks, and need to change less (Howard & Ruder 2018, arXiv:1801.06146, section
    3.2, "discriminative fine-tuning", whose 1/2.6 between two layers is the default here between two stages).

    The rates are no part of what `model.save` writes: a model that was loaded needs another call before it is trained.
    `tfnn.fit(resume=...)` refuses a model whose rates are not those of the run that it is to go on with.

    Args:
        model: as `tfnn.transfer.classifier` makes it, compiled with one of `tfnn.optimizers`.
        decay: in (0, 1]; 1 is the same rate for all.

    Raises:
        ValueError: for another `decay`, a model that is not compiled or has no stages, and another optimizer.

    Example:
        >>> model.compile(tfnn.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
        >>> tfnn.transfer.layerwise_decay(model, 0.5)
    """
    if not 0 < decay <= 1:
        raise ValueError(f"decay={decay!r} must be in (0, 1]")
    if not model.compiled:
        raise ValueError(f"model {model.name!r} is not compiled, and so has no optimizer whose rate could fall")
    parts = optimizers_of(model.optimizer)
    if len(parts) > 1 or not isinstance(parts[0], Optimizer):
        raise ValueError(f"layerwise_decay needs one of tfnn.optimizers, got {type(parts[0]).__name__}, which has one rate")
    for below, stage in enumerate(reversed(stages_of(model)), start=1):
        parts[0].scale_learning_rate(stage.variables, decay**below)
