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

import functools
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfnn.controls import Controls
from tfnn.training.compiled import Compiled
from tfnn.training.pace import Pace
from tfnn.training.state import variables_of
from tfnn.training.step import Step

STREAM = tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.int32), tf.TensorSpec([None], tf.int32)  # seed, pass, examples


class Result(NamedTuple):
    """What a call of a training graph gives, as tensors."""

    at: Any  # the position in the data after it
    updates: Any
    good: Any  # whether every loss, and in the end every weight, was finite
    ended: Any  # whether no example is left in this pass
    logs: Any  # the metrics; of a model with a step of its own what its last step told
    epoch_logs: Any  # what such a model tells of an epoch; else None
    last: Any = None  # of a stream: the `tf.experimental.Optional` batch that was read last


class TrainingGraph:
    """The traced training function of one compiled model: `train`.

    Args:
        model: a compiled Keras model.
        micro_batch: examples of one forward and backward pass.
        accumulate: whether a batch may be several micro-batches, whose gradients are summed.
        rebatch: whether the batch may become larger in one piece.
        jit: what XLA compiles, a `tfnn.training.xla.Jit`.
        augmentation: steps for `tfnn.training.augmentation.augmented`.
        guard: whether a number that is not finite ends a call and undoes it.
        probes: the `tfnn.controls.Probe`s that measure in it.
        head: the part of the model that is called; see `tfnn.training.compiled.Compiled`.
        controls: those of the run that it becomes a part of; None makes new ones.
    """

    def __init__(
        self,
        model,
        micro_batch,
        accumulate,
        rebatch,
        jit,
        augmentation=(),
        guard=True,
        probes=(),
        head=None,
        controls=None,
    ):
        self.compiled, self.strategy = Compiled(model, head), model.distribute_strategy
        self.micro_batch, self.accumulate, self.rebatch = micro_batch, accumulate, rebatch
        self.jit, self.guard, self.probes = jit, guard, probes
        self.eager, self.forms = model.run_eagerly, []  # of the data that were seen, in words
        self.controls, self.pace = controls or Controls(micro_batch, rebatch and self.any_size, accumulate), Pace()
        self.step = Step(self.compiled, self.controls, accumulate, augmentation, probes)
        self.train = self.function(self.run)
        self.whole, self.look = self.function(self.step.whole), self.function(self.step.part)

    def function(self, call, jit_compile=False):
        return traced(call, self.eager, jit_compile)

    @property
    def traces(self):
        return 0 if self.eager else self.train.experimental_get_tracing_count()

    def traced_graph(self):
        """The `tf.Graph` of the training function that was traced last, or None; TensorFlow has no public name for it."""
        variants = [] if self.eager else list(self.train._list_all_concrete_functions())
        return variants[-1].graph if variants else None

    def build(self, spec):
        """Makes all variables that can be made before the trace; `spec` is (x, y, sample_weight) of a batch."""
        self.compiled.build(spec)
        if self.accumulate:
            self.compiled.check_summable()
        for probe in self.probes:
            probe.variables = probe.build(self.compiled.weights)
        self.measured = [probe.variables for probe in self.probes]

    @property
    def heard(self):
        """Whether the probes still read the variables that this graph writes: a graph of another model gives them others."""
        return all(probe.variables is variables for probe, variables in zip(self.probes, self.measured))

    def build_own_step(self, batch_spec):
        """Has a model with a step of its own create all variables, by tracing it: a checkpoint can then set them."""
        if self.compiled.own_step and not self.eager:
            self.whole.get_concrete_function(batch_spec, STREAM)

    def undone_where_bad(self, call):
        """(good, result) of `call()`; where `good` is false, or a weight not finite, all variables are put back.

        What is kept for that costs at most a copy of the state. It stands outside of what XLA compiles, which would take
        longer to compile it and would always copy.
        """
        if not self.guard:
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
        variables = variables_of(self.compiled.model, self.step.augmentation).values()
        measured = [variable for variables in self.measured for variable in variables]
        return [v.value if isinstance(v, keras.Variable) else v for v in variables] + [self.controls.examples, *measured]

    def examine(self, batch, stream):
        """(Whether the loss on a batch is finite, the paths of the weights whose gradients are not). Changes nothing."""
        before = [tf.identity(v) for v in self.state()]
        total = self.strategy.run(self.look, (None, batch, stream))
        for variable, value in zip(self.state(), before):
            variable.assign(value)
        bad = [not tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(g))) for g in total.gradients]
        return bool(total.good), [weight.path for weight, is_bad in zip(self.compiled.weights, bad) if is_bad]

    def first_logs(self, batch_spec):
        """What the loop over updates starts with where a model's own step tells something: zeros of that form."""
        if not self.compiled.own_step or self.eager:
            return {}
        return zeros_like_output(self.whole, batch_spec, STREAM)[0]

    def results(self, at, updates, good, ended, logs):
        model = self.compiled.model
        if self.compiled.own_step:
            return Result(at, updates, good, ended, logs, model._get_metrics_result_or_logs(logs))
        return Result(at, updates, good, ended, model.get_metrics_result(), None)

    def one(self, batch, stream):
        """An update with one batch: (good, what the model's own step told)."""
        run = self.strategy.run
        if self.compiled.own_step:
            logs, good = run(self.whole, (batch, stream))
            return good | (not self.guard), logs
        return self.apply(run(self.step.part, (None, batch, stream))), {}

    def apply(self, total):
        self.strategy.run(self.step.update, (total,))
        return total.good | (not self.guard)


def traced(call, eager, jit_compile=False):
    """`call` as a tf.function; as it is for a model that runs eagerly."""
    if eager:
        return call
    # a partial is a key of its own: methods would share one over all graphs in TensorFlow's count of retraces, which warns
    return tf.function(functools.partial(call), jit_compile=jit_compile, autograph=False)


def loop(more, body, state):
    """tf.while_loop; in Python where the steps run eagerly, whose logs need no form that is known before."""
    if not tf.executing_eagerly():
        return tf.while_loop(more, body, state)
    while more(*state):
        state = body(*state)
    return state


def zeros_like_output(function, *specs):
    outputs = function.get_concrete_function(*specs).structured_outputs
    return tf.nest.map_structure(lambda told: tf.zeros(told.shape, told.dtype), outputs)


def reset_metrics(model, fresh):
    """Where `fresh`, at the start of an epoch. In the graph: a call of its own would cost as much as 5 updates."""

    def reset():
        model.reset_metrics()
        return True

    tf.cond(fresh, reset, lambda: False)


def over_parts(step, carry, at, end, size):
    """carry = step(carry, start, examples) over at..end in parts of `size`; the last may be smaller."""
    body = lambda start, carry: (start + size, step(carry, start, tf.minimum(size, end - start)))
    return loop(lambda start, _: start < end, body, (at, carry))[1]


def over_static_parts(step, carry, at, end, size, tail):
    """(end of the last part, carry) of the same in parts of static shape, the last of `tail` examples unless that is None.

    It is a loop of one turn: XLA takes over thirty times as long to compile a tf.cond in its place.
    """
    for part in filter(None, (size, tail)):
        body = lambda start, carry, part=part: (start + part, step(carry, start, part))
        at, carry = loop(lambda start, _, part=part: start + part <= end, body, (at, carry))
    return at, carry


def batch_of(data):
    """(x, y, sample_weight) in the form in which Keras hands them to a training step."""
    return keras.utils.pack_x_y_sample_weight(*data)


def spec_of(data):
    """Tensor specs of a batch of arrays, of any number of examples."""
    return keras.tree.map_structure(lambda a: a if a is None else spec_of_rows(a), data)


def spec_of_rows(array):
    return tf.TensorSpec([None, *array.shape[1:]], array.dtype)


def take(data, examples):
    return tf.nest.map_structure(lambda a: a if a is None else tf.gather(a, examples), data)


def without_optionals(batch):
    """Keras makes an empty `tf.experimental.Optional` of a None that a generator yields."""
    empty = tf.experimental.Optional, tf.OptionalSpec
    return keras.tree.map_structure(lambda a: None if isinstance(a, empty) else a, batch)
