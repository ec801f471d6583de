"""The first line of a run: where, how, and why a trace of an earlier run does not serve."""

import keras

from tfnn.distribute import device_type
from tfnn.internals.layers import layers_of
from tfnn.training.graph.xla import Jit
from tfnn.training.source.arrays import Arrays

TOLD = {  # the fields of a `GraphKey`
    "kind": "the kind of data",
    "micro_batch": "the batch size",
    "accumulates": "whether gradients are summed",
    "rebatches": "whether the batch is regrouped",
    "jit": "jit_compile",
    "augmentation": "augment",
    "guard": "whether numbers are guarded",
    "probes": "what callbacks measure",
    "eager": "run_eagerly",
    "head": "what was computed before",
}


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
    if graph.key.rebatches:
        batch += f", re-batched with {'a trace for each size' if graph.size_of_batches else 'one trace for all sizes'}"
    xla = f"XLA {graph.key.jit} ({'run_eagerly' if graph.eager else reason})"
    more = [features] if features else []
    more += [f"traced anew, as {new_trace}"] if new_trace else []
    more += [f"goes on from {resumed}"] if resumed else []
    return "; ".join([f"tfnn.fit on {device_type(graph.strategy)}, {precision}, {batch}, {xla}", *more])


def reason_for_new_trace(graph, key, form):
    """Why the graph that a model holds cannot be taken for this `GraphKey` and this data, or None."""
    if graph is None:
        return None
    for name in graph.key.changed(key):
        return f"{TOLD[name]} changed from {shown(getattr(graph.key, name))} to {shown(getattr(key, name))}"
    if not graph.compiled.current:
        return graph.compiled.what_changed()
    if not graph.probes_read_it:
        return "a callback that measures has measured another model since"
    return None if form in graph.forms else f"the data changed from {graph.forms[-1]} to {form}"


def shown(value):
    if isinstance(value, Jit):
        return value
    if isinstance(value, tuple):
        return ", ".join(type(part).__name__ for part in value) or "nothing"
    return getattr(value, "__name__", value)


def form_of(source, static=True):
    """What a trace holds of the data, in words: dtypes and shapes; those of whole arrays where its bodies are static."""
    spec = source.data if isinstance(source, Arrays) and static else source.spec
    told = []
    for name, part in zip(("x", "y", "sample_weight"), spec):
        arrays = [a for a in keras.tree.flatten(part) if a is not None]
        if arrays:
            told.append(f"{name} {', '.join(f'{a.dtype.name} {tuple(a.shape)}' for a in arrays)}")
    return "; ".join(told)
