"""Optimizers that hold others: a `LossScaleOptimizer`, a `MultiOptimizer`."""


def inner_optimizers(optimizer):
    """The one inside a `LossScaleOptimizer`, those of a `MultiOptimizer`; else none."""
    if hasattr(optimizer, "inner_optimizer"):
        return [optimizer.inner_optimizer]
    return list(getattr(optimizer, "optimizers", []))


def optimizers_of(optimizer):
    """Those that have a learning rate: the one inside a `LossScaleOptimizer`, those of a `MultiOptimizer`, or itself."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return getattr(inner, "optimizers", [inner])
