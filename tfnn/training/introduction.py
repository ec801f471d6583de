"""The first line of a run: where, how, and why a trace of an earlier run does not serve."""

import keras

from tfnn.distribute import device_type
from tfnn.training.arrays import Arrays
from tfnn.training.compiled import layers_of
from tfnn.training.xla import Jit

SETTINGS = (
    *("the kind of data", "the batch size", "whether gradients are summed", "whether the batch is regrouped"),
    *("jit_compile", "augment", "whether numbers are guarded", "what callbacks measure", "what was computed before"),
)


def introduction(graph, batch_size, accumulate, reason, new_trace, resumed, features=None):
    """Device, precision, batch = micro-batch × accumulation, compiled or not and why, in one line.

    Args:
        graph: the `TrainingGraph`.
        batch_size: examples of a micro-batch, or None where nobody knows.
        accumulate: how many of them an update sums.
        reason: why XLA compiles, or does not.
        new_trace: why the trace of an earlier run does not serve, or None.
        resumed: the checkpoint that the run goes on from, or None.
        features: what was computed before, or why not; None where nobody asked for it.
    """
    model = graph.compiled.model
    precision = ", ".join(sorted({layer.dtype_policy.name for layer in layers_of(model)})) or model.dtype_policy.name
    batch = f"batch {batch_size * accumulate} = {batch_size} × {accumulate}" if batch_size else "batches of the data"
    if graph.rebatch:
        batch += f", re-batched with {'a trace for each size' if graph.size_of_batches else 'one trace for all sizes'}"
    xla = f"XLA {graph.jit} ({'run_eagerly' if graph.eager else reason})"
    more = [features] if features else []
    more += [f"traced anew, as {new_trace}"] if new_trace else []
    more += [f"goes on from {resumed}"] if resumed else []
    return "; ".join([f"tfnn.fit on {device_type(graph.strategy)}, {precision}, {batch}, {xla}", *more])


def reason_for_new_trace(held, settings, form):
    """Why the graph that a model holds, (settings, graph), cannot be taken for these settings and this data, or None."""
    if not held:
        return None
    for name, before, now in zip(SETTINGS, held[0], settings):
        if before != now:
            return f"{name} changed from {shown(before)} to {shown(now)}"
    compiled, seen = held[1].compiled, held[1].forms
    if not compiled.current:
        return compiled.what_changed()
    if not held[1].heard:
        return "a callback that measures has measured another model since"
    return None if form in seen else f"the data changed from {seen[-1]} to {form}"


def shown(setting):
    if isinstance(setting, Jit):
        return setting
    if isinstance(setting, tuple):
        return ", ".join(type(part).__name__ for part in setting) or "nothing"
    return getattr(setting, "__name__", setting)


def form_of(source, static=True):
    """What a trace holds of the data, in words: dtypes and shapes; those of whole arrays where its bodies are static."""
    spec = source.data if isinstance(source, Arrays) and static else source.spec
    told = []
    for name, part in zip(("x", "y", "sample_weight"), spec):
        arrays = [a for a in keras.tree.flatten(part) if a is not None]
        if arrays:
            told.append(f"{name} {', '.join(f'{a.dtype.name} {tuple(a.shape)}' for a in arrays)}")
    return "; ".join(told)
