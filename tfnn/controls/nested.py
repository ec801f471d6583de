"""Which optimizers train a model: those inside a `LossScaleOptimizer` or `MultiOptimizer`, those that a model keeps itself."""

import keras
import tensorflow as tf


def inner_optimizers(optimizer):
    """The one inside a `LossScaleOptimizer`, or those of a `MultiOptimizer`, or else none."""
    if hasattr(optimizer, "inner_optimizer"):
        return [optimizer.inner_optimizer]
    return list(getattr(optimizer, "optimizers", []))


def optimizers_of(optimizer):
    """The optimizers with a learning rate: the one in a `LossScaleOptimizer`, those of a `MultiOptimizer`, or itself."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return getattr(inner, "optimizers", [inner])


def training_optimizers(model):
    """The optimizers with a learning rate that train a model.

    A model with a training step of its own may keep some beside that of `compile`, as a GAN does. That one counts, too, where
    the step uses it: without optimizer, `compile` makes one that trains nothing.
    """
    step = getattr(type(model), "train_step", None)
    own = [] if step is keras.Model.train_step else beside(model)
    if own and "optimizer" not in names_in(step):
        return [part for optimizer in own for part in optimizers_of(optimizer)]
    return [part for optimizer in [model.optimizer, *own] for part in optimizers_of(optimizer)]


def beside(model):
    """The optimizers among a model's attributes, in containers, too, without that of `compile`."""
    found = optimizers_inside(list(vars(model).values()))
    return list({id(part): part for part in found if part is not model.optimizer}.values())


def optimizers_inside(value):
    if isinstance(value, keras.optimizers.Optimizer):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [optimizer for part in parts for optimizer in optimizers_inside(part)]


def names_in(function):
    """The names of attributes and globals that a function uses, where it is written in Python."""
    code = getattr(function, "__code__", None)
    return code.co_names if code else ()


def updates_of(model):
    """How many updates a model has had: the largest count among its optimizers."""
    return max(int(tf.convert_to_tensor(optimizer.iterations)) for optimizer in training_optimizers(model))
