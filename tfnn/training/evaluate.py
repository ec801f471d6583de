"""`tfnn.evaluate` and `tfnn.predict`: the arguments of Keras's methods, run in a static graph."""

import functools
import time

import keras
import numpy as np
import tensorflow as tf

from tfnn.training.compiled import call, layers_of, overrides
from tfnn.training.evaluation import Evaluation
from tfnn.training.hooks import TEST_HOOKS, wants
from tfnn.training.sources import source_of
from tfnn.training.xla import OFF


def evaluate(
    model,
    x=None,
    y=None,
    batch_size=None,
    verbose="auto",
    sample_weight=None,
    steps=None,
    callbacks=None,
    return_dict=False,
):
    """The loss and metrics of a compiled model on data, as `model.evaluate` gives them, in one static graph.

    Arguments, returned value and the model's own `test_step` are as there; x may be what `tfnn.fit` takes.

    Raises:
        ValueError: for a model that is not compiled, and for data that `tfnn.fit` would refuse.

    Example:
        >>> loss, accuracy = tfnn.evaluate(model, x_test, y_test)
    """
    with model.distribute_strategy.scope():
        source = source_of(x, y, sample_weight, batch_size=batch_size, steps=steps, model=model)
        evaluation = evaluation_for(model, source.spec)
        callbacks = callback_list(callbacks, model, verbose, steps or source.length)
        logs = run_evaluation(evaluation, source, callbacks, steps)
    return logs if return_dict else model._flatten_metrics_in_order(logs)


def evaluation_for(model, spec, jit=None, head=None):
    """The model's functions of an earlier call where they still hold, else new ones; `jit` of None takes any.

    `head` is the part of the model that is called, with `spec` that of the whole; see `tfnn.training.compiled.Compiled`.
    """
    held = getattr(model, "_tfnn_evaluation", None)
    if held and jit in (None, held[0]) and held[1].compiled.head is head and held[1].compiled.current:
        return held[1]
    evaluation = Evaluation(model, jit or OFF, head)
    evaluation.compiled.build(spec)
    object.__setattr__(model, "_tfnn_evaluation", (jit or OFF, evaluation))  # past Keras's tracking of attributes
    return evaluation


def callback_list(callbacks, model, verbose, steps):
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    bar = verbose != 0
    return keras.callbacks.CallbackList(callbacks, add_progbar=bar, verbose=verbose, epochs=1, steps=steps, model=model)


def run_evaluation(evaluation, source, callbacks, steps=None, heed=lambda: None):
    """Metrics over a pass over `source`, or over `steps` batches; `heed` is called between pieces and may raise."""
    model, pace, logs, step, more = evaluation.compiled.model, evaluation.pace, {}, 0, True
    every_batch = any(wants(callback, TEST_HOOKS) for callback in callbacks.callbacks)
    callbacks.on_test_begin()
    model.stop_evaluating = False
    source.seek(0)
    last = steps or source.length
    while more and step != last and not model.stop_evaluating:
        callbacks.on_test_batch_begin(step)
        limit = model.steps_per_execution if every_batch else pace.steps
        began = time.perf_counter()
        batches, more, told = source.evaluate(evaluation, min(limit, last - step) if last else limit, fresh=not step)
        if not batches:
            break
        pace.record(batches, time.perf_counter() - began)
        step, logs = step + batches, told
        callbacks.on_test_batch_end(step - 1, logs)
        heed()
    source.close()
    if not step:
        raise ValueError("evaluation needs at least one batch, and the data gave none")
    logs = plain(logs)
    callbacks.on_test_end(logs)
    evaluation.compiled.remember()
    return logs


def plain(logs):
    """Numbers by name, as Keras tells them: sorted, and those of a metric that gives several are not in a dict of their own."""
    told = {}
    for name, value in sorted(logs.items()):
        told |= plain(value) if isinstance(value, dict) else {name: keras.tree.map_structure(float_of, value)}
    return told


def float_of(value):
    value = np.asarray(value)
    return value.item() if value.ndim == 0 else value


def predict(model, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
    """The outputs of a model on data, as `model.predict` gives them: a nest of arrays of the model's form.

    One trace serves every batch; arguments, returned value and the model's own `predict_step` are as in Keras.

    Raises:
        ValueError: for data that `tfnn.fit` would refuse.

    Example:
        >>> probabilities = tfnn.predict(model, x_test, batch_size=256)
    """
    with model.distribute_strategy.scope():
        source = source_of(x, batch_size=batch_size, steps=steps, model=model)
        callbacks = callback_list(callbacks, model, verbose, steps or source.length)
        function, outputs, model.stop_predicting = prediction_for(model, source.batch_spec), [], False
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


def prediction_for(model, spec):
    """The trace of the model's outputs for batches like `spec`: that of an earlier call, or a new one."""

    def outputs(batch):
        if overrides(model, "predict_step"):
            return model.predict_step(batch)
        return call(model, keras.utils.unpack_x_y_sample_weight(batch)[0], training=False)

    if model.run_eagerly:
        return outputs
    layers, held = layers_of(model), getattr(model, "_tfnn_prediction", None)
    if not held or held[0] != layers:
        held = layers, tf.function(functools.partial(outputs), autograph=False)
        object.__setattr__(model, "_tfnn_prediction", held)  # past Keras's tracking: not part of the model
    return held[1].get_concrete_function(spec)


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
