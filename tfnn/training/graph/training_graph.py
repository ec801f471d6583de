"""The static graph of a run: one trace serves any range of updates, whatever the batch size grows to.

    train(…, limit)                              one tf.function; all its arguments are tensors
      while there are examples, updates < limit and every loss was finite:
        while rows of this batch are left:       accumulation is a tensor: one trace for every batch size
          augment, forward, backward, metrics    sums n_j · gradient_j and n_j
        one update with Σ n_j g_j / Σ n_j

Both loops stand outside `strategy.run`, where an update may not stand in a loop (tf.distribute's merge_call).
Where a number goes wrong everything is put back as it was before the update. Only what XLA compiles in one piece is put back as
it was before the call, which the host then makes again up to there.
"""

import dataclasses
from typing import Any, NamedTuple

import tensorflow as tf

from tfnn.controls import Controls
from tfnn.distribute import device_type
from tfnn.internals.tensorflow import traces_of, without_xla_kernel
from tfnn.training.graph.changes import Changes
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
    good: Any  # whether every loss, and every weight after an update, was finite
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
    undoes_calls = False  # whether a number that goes wrong undoes a whole call, and else one update
    compiles_steps = False  # whether it is the step that XLA compiles

    def __init__(self, model, key, controls=None):
        self.compiled, self.strategy = Compiled(model, key.head), model.distribute_strategy
        self.key, self.micro_batch = key, key.micro_batch
        self.eager, self.forms = key.eager, []  # of the data that were seen, in words
        self.controls = controls or Controls(key.micro_batch, key.rebatches and self.any_size, key.accumulates)
        self.pace, self.step = Pace(), Step(self.compiled, self.controls, key.accumulates, key.augmentation, key.probes)
        self.train = self.function(self.run)
        self.begin_traces()

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

    def begin_traces(self):
        """Forgets what was traced of an update."""
        self.forward = self.changes = None  # the `Changes` of a forward pass, and of an update, once they are traced
        jit, steps = self.key.jit.on and self.compiles_steps, (self.step.part, self.step.update, self.step.own)
        self.traced_part, self.traced_update, self.traced_own_step = (self.function(step, jit) for step in steps)

    def trace_step(self, batch_spec):
        """Traces what an update consists of, once for all bodies, and asks it what it changes.

        It makes the variables that a model with a step of its own makes in it: a checkpoint can then set them. What is traced
        for that before a run serves the run, unless a callback has put another rate or regularizer in place meanwhile.
        """
        if self.eager:
            return
        if self.changes and not self.compiled.current:
            self.begin_traces()
        self.trace_parts(batch_spec)
        self.compiled.remember()

    def trace_parts(self, batch_spec):
        if self.compiled.own_step:
            self.changes = Changes(self.traced_in_replica(self.traced_own_step, batch_spec, KEY))
            return
        total = tf.nest.map_structure(tf.type_spec_from_value, self.zeros()) if self.key.accumulates else None
        part = self.traced_in_replica(self.traced_part, total, batch_spec, KEY)
        total = tf.nest.map_structure(tf.type_spec_from_value, part.structured_outputs)
        update = self.traced_in_replica(self.traced_update, total)
        self.forward, self.changes = Changes(part), Changes(part, update)

    def without_xla_kernel(self, batch_spec):
        """The types of operations of an update that XLA cannot compile."""
        self.trace_step(batch_spec)
        return without_xla_kernel(self.changes.functions, device_type(self.strategy)) if self.changes else []

    def traced_in_replica(self, function, *specs):
        """The concrete function for arguments like `specs`, traced where it is called: in a replica."""
        found = []
        self.strategy.run(lambda: found.append(function.get_concrete_function(*specs)))
        return found[0]

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
        """An update with one batch: (whether its loss is finite, what the model's own step told)."""
        if self.compiled.own_step:
            logs, good = self.strategy.run(self.traced_own_step, (batch, key))
            return self.heeded(good), carried(logs)
        return self.update_with(self.part(None, batch, key)), carried({})

    def update_with(self, total):
        """Makes an update with what was summed; whether every loss was finite."""
        self.apply(total)
        return self.heeded(total.good)

    def heeded(self, good):
        """Where nobody asked to be guarded all is well."""
        return good if self.key.guard else tf.ones_like(good)

    def zeros(self):
        return self.strategy.run(self.step.zeros)

    def part(self, total, batch, key):
        return self.strategy.run(self.traced_part, (total, batch, key))

    def apply(self, total):
        self.strategy.run(self.traced_update, (total,))

    # Against numbers that are not finite --------------------------------------------------------------------------------

    def guarded_single(self, batch, key):
        """The same as `single`, undone where a number is not finite."""
        if self.compiled.own_step:
            return self.undone_where_bad(lambda: self.single(batch, key))
        before = self.before_update()
        return self.guarded_update(self.part(None, batch, key), before), carried({})

    @property
    def is_careful(self):
        """Whether all that an update changes is copied before each: else only where that update may need it."""
        return self.eager or not self.step.is_bounded

    def before_update(self):
        """What `guarded_update` needs to know of the time before the forward pass: what that is going to change."""
        if not self.key.guard:
            return []
        return copies(self.changing() if self.is_careful else self.forward.variables)

    def guarded_update(self, total, before):
        """Makes an update with what was summed, and tells whether all is well; else nothing has changed.

        To copy all weights before each update would cost more than many an update. So what is copied is what a forward pass
        changes, which is little; the rest only where loss, gradients and rate do not rule out that a weight becomes infinite.
        """

        def surely():
            self.apply(total)
            return tf.constant(True)

        def carefully():
            kept = before if self.is_careful else [*before, *copies(self.changes.beside(self.forward.variables))]
            self.apply(total)
            return self.put_back_where_bad(total.good, kept)

        if not self.key.guard:
            return surely()
        if self.is_careful:
            return carefully()
        return tf.cond(total.good & self.strategy.run(self.step.is_safe, (total,)), surely, carefully)

    def undone_where_bad(self, call):
        """(good, result) of `call()`; where `good` is false, or a weight not finite, all is put back as it was before.

        What is kept for that costs at most a copy of what changes. It stands outside of what XLA compiles, which would take
        longer to compile it and would always copy.
        """
        if not self.key.guard:
            good, result = call()
            return self.heeded(good), result
        kept = copies(self.changing())
        good, result = call()
        return self.put_back_where_bad(good, kept), result

    def put_back_where_bad(self, good, kept):
        """Whether all is well; where not, each of `kept`, (variable, value), has its value again."""
        good &= tf.reduce_all([tf.reduce_all(tf.math.is_finite(w)) for w in self.compiled.model.trainable_variables])
        tf.cond(good, tf.no_op, lambda: tf.group(*[variable.assign(value) for variable, value in kept]))
        return good

    def changing(self):
        """All variables that an update changes."""
        if self.eager:
            return list(self.state().values())
        return [*self.changes.beside([self.controls.examples]), self.controls.examples]

    def state(self):
        """{name: variable} of what model, metrics, optimizers and augmentation tell of."""
        return variables_of(self.compiled.model, self.key.augmentation)

    def hidden(self):
        """Variables that an update changes and nothing tells of, but for those of the run: its clock, what probes measure."""
        of_run = [self.controls.examples, *(variable for measured in self.measured for variable in measured)]
        return self.changes.beside([*self.state().values(), *of_run]) if self.changes else []

    def check_resumable(self):
        """Refuses what no checkpoint can hold, so that a run could not go on to the same bits.

        Raises:
            ValueError: for a training step that draws from a state of TensorFlow's own, or changes what is no variable.
        """
        if self.changes is None:
            return
        if self.changes.draws:
            raise ValueError(
                f"a checkpoint cannot hold the state of {self.changes.draws[0]}, which draws random numbers in a training step:"
                " draw with keras.random and a keras.random.SeedGenerator, or with a tf.random.Generator"
            )
        if self.changes.others:
            raise ValueError(
                f"a checkpoint cannot hold what {self.changes.others[0]} changes in the training step: keep it in a tf.Variable"
            )

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
        before = copies(self.changing())
        total = self.part(None, batch, key)
        for variable, value in before:
            variable.assign(value)
        bad = [not tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(g))) for g in total.gradients]
        return bool(total.good), [weight.path for weight, is_bad in zip(self.compiled.weights, bad) if is_bad]


def copies(variables):
    """[(variable, its value now)]. A copy is made only where the variable is changed while its value is still needed."""
    return [(variable, tf.identity(variable.value() if callable(variable.value) else variable.value)) for variable in variables]
