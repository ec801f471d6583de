"""The host's side of an evaluation: pieces of the graph, between which callbacks run."""

import time

import keras
import numpy as np

from tfnn.training.loop.hooks import TEST_HOOKS, wants


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
        batches, more, told = evaluation.advance(source, min(limit, last - step) if last else limit, fresh=not step)
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
    if value.ndim:
        return value
    return float(value) if value.dtype.kind in "fiub" else value.item()
