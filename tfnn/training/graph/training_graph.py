"""The static graph of a run: one trace serves any range of updates, whatever the batch size grows to.

    train(…, limit)                              one tf.function; all its arguments are tensors
      while there are examples, updates < limit and every loss was finite:
        while rows of this batch are left:       accumulation is a tensor: one trace for every batch size
          augment, forward, backward, metrics    sums n_j · gradient_j and n_j
        one update with Σ n_j g_j / Σ n_j

Both loops stand outside `strategy.run`, where an update may not stand in a loop (tf.distribute's merge_call).
Where a number went wrong everything is put back as it was: before the call for arrays, which the host then makes again up
to there and looks closer; before the update for streams, which cannot be read again.
"""

import dataclasses
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfnn.controls import Controls
from tfnn.internals.tensorflow import traces_of
from tfnn.training.graph.compiled import Compiled
from tfnn.training.graph.loops import traced
from tfnn.training.graph.pace import Pace
from tfnn.training.graph.step import Step
from tfnn.training.graph.told import NOTHING, carried, told_in
from tfnn.training.graph.variables import variables_of
from tfnn.training.graph.xla import OFF, Jit

KEY = tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.int32), tf.TensorSpec([None], tf.int32)  # seed, pass, examples


@dataclasses.dataclass(frozen=True)
class GraphKey:
    """What a training graph is made for beside its model: a graph serves a later `fit` whose key is equal."""

    kind: type  # of the graph
    micro_batch: int  # examples of one forward and backward pass
    accumulates: bool  # whether a batch may be several micro-batches, whose gradients are summed
    rebatches: bool  # whether the batch may become larger in one piece
    jit: Jit = OFF  # what XLA compiles
    augmentation: tuple = ()  # steps for `tfnn.training.graph.augmentation.augmented`
    guard: bool = True  # whether a number that is not finite ends a call and undoes it
    probes: tuple = ()  # the `tfnn.controls.Probe`s that measure in it
    head: Any = None  # the part of the model that is called, None for the whole
    eager: bool = False  # whether steps run in Python, untraced

    def changed(self, other):
        """The names of the fields in which another key differs."""
        return [f.name for f in dataclasses.fields(self) if getattr(self, f.name) != getattr(other, f.name)]


class Result(NamedTuple):
    """What a call of a training graph gives, as tensors."""

    place: Any  # in the data after it: examples of the pass; for a stream (batches, examples)
    updates: Any
    good: Any  # whether every loss, and in the end every weight, was finite
    ended: Any  # whether no example is left in this pass
    logs: Any  # the metrics; of a model with a step of its own what its last step told
    epoch_logs: Any  # what such a model tells of an epoch; else None
    last: Any = None  # of a stream: the `tf.experimental.Optional` batch that was read last


class TrainingGraph:
    """The traced training function of one compiled model: `train`.

    A subclass defines `run`, what is traced; `advance(source, limit, fresh)`, which calls it on up to `limit` updates from
    the place where a source stands, and moves that on; and `diagnosis(source, result)` of an update that went wrong.

    Args:
        model: a compiled Keras model.
        key: the `GraphKey`.
        controls: those of the run that it becomes a part of; None makes new ones.
    """

    any_size = False  # whether a batch may be of any size, where the batch grows by more than whole micro-batches

    def __init__(self, model, key, controls=None):
        self.compiled, self.strategy = Compiled(model, key.head), model.distribute_strategy
        self.key, self.micro_batch = key, key.micro_batch
        self.eager, self.forms = key.eager, []  # of the data that were seen, in words
        self.controls = controls or Controls(key.micro_batch, key.rebatches and self.any_size, key.accumulates)
        self.pace, self.step = Pace(), Step(self.compiled, self.controls, key.accumulates, key.augmentation, key.probes)
        self.train = self.function(self.run)
        self.traced_own_step, self.examined = self.function(self.step.own), self.function(self.step.part)

    def function(self, call, jit_compile=False):
        return traced(call, self.eager, jit_compile)

    def build(self, spec, batch_size=None):
        """Makes all variables that can be made before the trace, as `Compiled.build` does."""
        self.compiled.build(spec, batch_size)
        if self.key.accumulates:
            self.compiled.check_summable()
        for probe in self.key.probes:
            probe.variables = probe.build(self.compiled.weights)
        self.measured = [probe.variables for probe in self.key.probes]

    def build_own_step(self, batch_spec):
        """Has a model with a step of its own create all variables, by tracing it: a checkpoint can then set them."""
        if self.compiled.own_step and not self.eager:
            self.traced_own_step.get_concrete_function(batch_spec, KEY)

    # What a later `fit` asks --------------------------------------------------------------------------------------------

    @property
    def probes_read_it(self):
        """Whether the probes still read the variables that this graph writes: a graph of another model gives them others."""
        return all(probe.variables is variables for probe, variables in zip(self.key.probes, self.measured))

    def serves(self, key, controls):
        """Whether it can be taken for a run with this key and these controls, None for any."""
        same = self.key == key and self.compiled.current and self.probes_read_it
        return same and controls in (None, self.controls)

    @property
    def traces(self):
        return 0 if self.eager else self.train.experimental_get_tracing_count()

    def traced_graph(self):
        """The `tf.Graph` of the training function that was traced last, or None."""
        variants = [] if self.eager else traces_of(self.train)
        return variants[-1].graph if variants else None

    # What subclasses trace ----------------------------------------------------------------------------------------------

    def single(self, batch, key):
        """An update with one batch: (good, what the model's own step told)."""
        if self.compiled.own_step:
            logs, good = self.strategy.run(self.traced_own_step, (batch, key))
            return good | (not self.key.guard), carried(logs)
        return self.apply(self.part(None, batch, key)), carried({})

    def zeros(self):
        return self.strategy.run(self.step.zeros)

    def part(self, total, batch, key):
        return self.strategy.run(self.step.part, (total, batch, key))

    def apply(self, total):
        """The update with what was summed; whether every loss was finite."""
        self.strategy.run(self.step.update, (total,))
        return total.good | (not self.key.guard)

    def undone_where_bad(self, call):
        """(good, result) of `call()`; where `good` is false, or a weight not finite, all variables are put back.

        What is kept for that costs at most a copy of the state. It stands outside of what XLA compiles, which would take
        longer to compile it and would always copy.
        """
        if not self.key.guard:
            return call()
        state = self.state()
        before = [tf.identity(v) for v in state]
        good, result = call()
        good &= tf.reduce_all([tf.reduce_all(tf.math.is_finite(w)) for w in self.compiled.model.trainable_variables])
        put_back = lambda: tf.group(*[variable.assign(value) for variable, value in zip(state, before)])
        tf.cond(good, tf.no_op, put_back)
        return good, result

    def state(self):
        """All variables that `run` changes."""
        variables = variables_of(self.compiled.model, self.key.augmentation).values()
        measured = [variable for variables in self.measured for variable in variables]
        return [v.value if isinstance(v, keras.Variable) else v for v in variables] + [self.controls.examples, *measured]

    def told(self, batch_spec):
        """The `Told` of the model's own step for batches like these; tracing that makes the metrics."""
        if not self.compiled.own_step or self.eager:
            return NOTHING
        return told_in(self.traced_own_step.get_concrete_function(batch_spec, KEY).structured_outputs[0])

    def results(self, place, updates, good, ended, logs):
        if self.compiled.own_step:
            return Result(place, updates, good, ended, logs, self.compiled.epoch_logs(logs))
        return Result(place, updates, good, ended, self.compiled.model.get_metrics_result(), None)

    # Where a number went wrong ------------------------------------------------------------------------------------------

    def examine(self, batch, key):
        """(Whether the loss on a batch is finite, the paths of the weights whose gradients are not). Changes nothing."""
        before = [tf.identity(v) for v in self.state()]
        total = self.strategy.run(self.examined, (None, batch, key))
        for variable, value in zip(self.state(), before):
            variable.assign(value)
        bad = [not tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(g))) for g in total.gradients]
        return bool(total.good), [weight.path for weight, is_bad in zip(self.compiled.weights, bad) if is_bad]
