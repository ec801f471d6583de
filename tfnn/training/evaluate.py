"""`tfnn.evaluate`: the arguments of `model.evaluate`, run in a static graph."""

from collections.abc import Sequence
from typing import Any

import keras

from tfnn.internals.compiled import in_order
from tfnn.training.graph.evaluation_graph import evaluation_for
from tfnn.training.loop.callbacks import one_epoch
from tfnn.training.loop.validate import run_evaluation
from tfnn.training.source.choice import source_of


def evaluate(
    model: keras.Model,
    x: Any = None,
    y: Any = None,
    batch_size: int | None = None,
    verbose: str | int = "auto",
    sample_weight: Any = None,
    steps: int | None = None,
    callbacks: Sequence[keras.callbacks.Callback] | keras.callbacks.CallbackList | None = None,
    return_dict: bool = False,
) -> Any:
    """The loss and metrics of a compiled model on data, as `model.evaluate` gives them, in one static graph.

    Arguments, returned value and the model's own `test_step` are as there; x may be what `tfnn.fit` takes.

    Raises:
        ValueError: for a model that is not compiled, and for data that `tfnn.fit` would refuse.

    Example:
        >>> loss, accuracy = tfnn.evaluate(model, x_test, y_test)
    """
    with model.distribute_strategy.scope():
        source = source_of(x, y, sample_weight, batch_size=batch_size, steps=steps, model=model, methods=["evaluate"])
        evaluation = evaluation_for(model, source)
        callbacks = one_epoch(callbacks, model, verbose, steps or source.length)
        logs = run_evaluation(evaluation, source, callbacks, steps)
    return logs if return_dict else in_order(model, logs)
