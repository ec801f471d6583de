"""What is trained on what, as long as no layer is frozen or unfrozen."""

from typing import Any, NamedTuple

from tfnn import controls
from tfnn.training.graph.array_graph import ArrayGraph
from tfnn.training.graph.compiled import Compiled
from tfnn.training.graph.evaluation_graph import evaluation_for
from tfnn.training.graph.held import held, hold
from tfnn.training.graph.loops import runs_eagerly
from tfnn.training.graph.memory import Memory
from tfnn.training.graph.stream_graph import StreamGraph
from tfnn.training.graph.training_graph import GraphKey
from tfnn.training.graph.xla import OFF, choose_jit
from tfnn.training.loop.callbacks import of_kind
from tfnn.training.loop.introduction import form_of, introduction, reason_for_new_trace
from tfnn.training.loop.validate import run_evaluation
from tfnn.training.source.arrays import Arrays


class Phase(NamedTuple):
    graph: Any  # the `TrainingGraph`
    source: Any  # what it reads
    validate: Any  # gives the metrics on the validation data; called with a function to call between its pieces; or None
    line: str  # all this in words
    why: str  # the reason for what XLA compiles


class Phases:
    """Makes the phases of a run.

    Args:
        request: the `tfnn.training.request.Request`.
        data: (source, validation), what the model reads.
        callbacks: of the run, a `keras.callbacks.CallbackList`.
        work: the `Work` by which it is decided what XLA compiles.
    """

    def __init__(self, request, data, callbacks, work):
        self.request, self.data, self.callbacks, self.work = request, data, callbacks, work
        self.growth, self.refused = growth_of(callbacks), None  # `refused`: why XLA did not compile an earlier phase
        own_step = Compiled(request.model).own_step
        whole = self.growth == "accumulate" and own_step is not None  # of a step that nothing can split
        self.rebatches = self.growth == "rebatch" or whole
        self.accumulates = request.accumulate > 1 or (self.growth == "accumulate" and not whole)
        self.probes = tuple(p for p in of_kind(controls.Probe, callbacks) if not (p.optional and own_step))

    def make(self, run_controls=None):
        """The `Phase` of the model as it is; `run_controls` are those of the run, None before the first."""
        request, (source, validation) = self.request, self.data
        features = words = None
        if request.cache:
            features, words = request.cache.features(request.model, source, validation, request.augmentation, request.seed)
        head, read, held_out = features or (None, source, validation)
        augmentation = () if features else request.augmentation
        jit, validation_jit, why = choose_jit(request.model, request.jit_compile, self.work, augmentation, read, head)
        graph, new_trace = self.graph(read, jit, augmentation, head, run_controls)
        if jit.on and request.jit_compile == "auto" and (why_not := self.why_not_compiled(graph, read)):
            jit, validation_jit, why = OFF, OFF, why_not
            graph, _ = self.graph(read, jit, augmentation, head, run_controls)
        measured = graph.key.rebatches and not graph.eager  # by a trace
        graph.controls.check_memory = Memory(graph, read.spec).check if measured else lambda size: None
        validate = None
        if validation is not None:
            evaluation = evaluation_for(request.model, validation, validation_jit, head)
            validate = lambda heed: run_evaluation(evaluation, held_out, self.callbacks, request.validation_steps, heed)
        path = request.resumed.path if request.resumed and not run_controls else None
        line = introduction(graph, read.micro_batch, request.accumulate, why, new_trace, path, words)
        return Phase(graph, read, validate, line, why)

    def why_not_compiled(self, graph, read):
        """Why XLA cannot compile an update, or None: it has no kernel, or has refused what it has kernels for."""
        missing = graph.without_xla_kernel(read.batch_spec)
        return f"XLA has no kernel for {missing[0]}" if missing else self.refused

    def graph(self, read, jit, augmentation, head, run_controls):
        """(The model's graph of an earlier `fit` where it still serves, else a new one; why one of an earlier does not)."""
        model, key = self.request.model, self.key(read, jit, augmentation, head)
        graph, form = held(model, "graph"), form_of(read, static=jit.on)
        new_trace = reason_for_new_trace(graph, key, form)
        if graph is None or not graph.serves(key, run_controls):
            graph = key.kind(model, key, run_controls)
            graph.build(self.data.source.spec, self.data.source.static_batch)
            hold(model, "graph", graph)
        graph.forms += [form] if form not in graph.forms else []
        return graph, new_trace

    def key(self, read, jit, augmentation, head):
        request = self.request
        compiled = Compiled(request.model)
        compiled.check_accumulates(request.accumulate)
        if self.growth == "rebatch" and request.accumulate > 1:
            raise ValueError(f"accumulate={request.accumulate} must be 1 where the batch grows with mode='rebatch'")
        if compiled.own_step and self.probes:
            prober = type(self.probes[0]).__name__
            raise ValueError(f"{prober} measures gradients, which a model with its own {compiled.own_step} hides")
        if self.accumulates or self.rebatches:
            read.measure()
        kind = ArrayGraph if isinstance(read, Arrays) else StreamGraph
        sizes = read.micro_batch or 1, self.accumulates, self.rebatches
        guard, eager = self.request.nonfinite != "ignore", runs_eagerly(request.model)
        return GraphKey(kind, *sizes, jit, augmentation, guard, self.probes, head, eager)


def growth_of(callbacks):
    """How the batch is to grow: "accumulate", "rebatch", or None."""
    modes = {callback.mode for callback in of_kind(controls.BatchSteering, callbacks)}
    if len(modes) > 1:
        raise ValueError("callbacks grow the batch with mode='accumulate' and with mode='rebatch': choose one")
    return modes.pop() if modes else None
