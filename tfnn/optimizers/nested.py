"""Optimizers that contain others: `LossScaleOptimizer` and `MultiOptimizer`."""


def inner_optimizers(optimizer):
    """The one inside a `LossScaleOptimizer`, or those of a `MultiOptimizer`, or else none."""
    if hasattr(optimizer, "inner_optimizer"):
        return [optimizer.inner_optimizer]
    return list(getattr(optimizer, "optimizers", []))


def optimizers_of(optimizer):
    """The optimizers with a learning rate: the one in a `LossScaleOptimizer`, those of a `MultiOptimizer`, or itself."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return getattr(inner, "optimizers", [inner])
