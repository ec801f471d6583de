"""Learning rates that fall from the head towards the input."""

import keras

from tfnn.controls.nested import optimizers_of
from tfnn.optimizers import Optimizer
from tfnn.transfer.freezing import stages_of


def layerwise_decay(model: keras.Model, decay: float = 1 / 2.6) -> None:
    """Gives the k-th stage below the head of a classifier the learning rate η · decayᵏ.

    Early layers hold what many tasks have in common, and need to change less (Howard & Ruder 2018, arXiv:1801.06146, section
    3.2, "discriminative fine-tuning"; the default decay between stages is their 1/2.6 between layers).

    `model.save` does not store the rates, so call this again before training a loaded model. `tfnn.fit(resume=...)` refuses
    a model whose rates differ from those of the run to be resumed.

    Args:
        model: made by `tfnn.transfer.classifier` and compiled with one of `tfnn.optimizers`.
        decay: in (0, 1]; 1 gives all stages the same rate.

    Raises:
        ValueError: if `decay` is out of range, the model is not compiled or has no stages, or its optimizer is not tfnn's.

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
