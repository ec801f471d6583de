"""`tfnn.predict`: the arguments of `model.predict`, run in a static graph."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfnn.training.graph.prediction import prediction_for
from tfnn.training.loop.callbacks import one_epoch
from tfnn.training.source.choice import source_of


def predict(
    model: keras.Model,
    x: Any,
    batch_size: int | None = None,
    verbose: str | int = "auto",
    steps: int | None = None,
    callbacks: Any = None,
) -> Any:
    """The outputs of a model on data, as `model.predict` gives them: a nest of arrays of the model's form.

    One trace serves every batch; arguments, returned value and the model's own `predict_step` are as in Keras.

    Raises:
        ValueError: for data that `tfnn.fit` would refuse.

    Example:
        >>> probabilities = tfnn.predict(model, x_test, batch_size=256)
    """
    with model.distribute_strategy.scope():
        source = source_of(x, batch_size=batch_size, steps=steps, model=model, methods=["predict"])
        callbacks = one_epoch(callbacks, model, verbose, steps or source.length)
        function, outputs, model.stop_predicting = prediction_for(model, source), [], False
        callbacks.on_predict_begin()
        for step, batch in enumerate(source):
            if step == steps or model.stop_predicting:
                break
            callbacks.on_predict_batch_begin(step)
            outputs.append(function(batch))
            callbacks.on_predict_batch_end(step, {"outputs": outputs[-1]})
        callbacks.on_predict_end()
        source.close()
    if not outputs:
        raise ValueError("prediction needs at least one batch, and the data gave none")
    form, columns = outputs[0], [list(column) for column in zip(*map(keras.tree.flatten, outputs))]
    del outputs  # so that each part can be let go when it is copied: else all would be held twice
    return keras.tree.pack_sequence_as(form, [joined(column) for column in columns])


def joined(parts):
    """The batches of a list as one array; the list is emptied meanwhile."""
    if isinstance(parts[0], tf.RaggedTensor):
        return tf.concat(parts, axis=0)
    views = [np.asarray(part) for part in parts]
    if len({view.shape[1:] for view in views}) > 1:
        return np.concatenate(views)  # which says what differs
    parts.clear()
    whole = np.empty((sum(map(len, views)), *views[0].shape[1:]), views[0].dtype)
    at = len(whole)
    while views:
        view = views.pop()
        whole[at - len(view) : at] = view
        at -= len(view)
    return whole
