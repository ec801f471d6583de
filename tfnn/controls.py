"""The contract between a trainer and what steers it: the few numbers that a running graph reads.

A callback sets them between two pieces of a run; the graph reads them at its next update, without a new trace.
A schedule written in epochs reads the clock, which counts examples and so does not bend when the batch grows.
"""

import contextlib
import contextvars
from typing import Any, NamedTuple

import keras
import tensorflow as tf

_current = contextvars.ContextVar("tfnn_controls", default=None)


class Controls:
    """The state of one run that its graph and its callbacks share.

    Args:
        micro_batch: examples of one forward and backward pass on all replicas together, as long as nothing re-batches. It
            is static in the graph, where an update sums the gradients of several.
        exact: whether a batch may be of any size, as where it is really larger: else it is whole micro-batches.
        accumulates: whether an update may sum the gradients of several micro-batches.
    """

    views = None  # `Views`, while a run is in progress

    def __init__(self, micro_batch, exact=False, accumulates=False):
        self.micro_batch, self.exact, self.accumulates, self.rows = micro_batch, exact, accumulates, None
        self.population = None  # training examples, whatever an epoch has of them; None where nobody knows
        self.check_memory = lambda size: None  # raises for a batch that is too large for it; set where one really grows
        # beside the variables, whose reading or setting between two calls of a graph costs as much as an update
        self.batch_size = micro_batch  # examples of one update
        self.in_force = None  # what was `set` last
        self.size = tf.Variable(micro_batch, dtype=tf.int32, trainable=False)
        self.accumulation = tf.Variable(1, dtype=tf.int32, trainable=False)  # micro-batches of one update
        self.planned_batch_size = tf.Variable(micro_batch, dtype=tf.float64, trainable=False)  # before it was rounded
        self.learning_rate_scale = tf.Variable(1.0, trainable=False)
        self.examples = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.examples_per_epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.seed = tf.Variable(0, dtype=tf.int32, trainable=False)

    def begin(self, rows, epoch, seed=0, micro_batches=1):
        """Starts a run at the start of `epoch`.

        Args:
            rows: examples of an epoch, None where nobody knows.
            seed: that of the random layers of the run.
            micro_batches: how many an update sums at the start.
        """
        self.rows, self.first_batch_size = rows, self.micro_batch * micro_batches
        self.set(self.first_batch_size, self.first_batch_size, scale=1.0)
        self.seed.assign(seed)
        self.examples_per_epoch.assign(rows or 0)
        self.examples.assign((rows or 0) * epoch)

    @property
    def micro_batches(self):
        """Of `micro_batch` examples in an update."""
        return max(1, round(self.batch_size / self.micro_batch))

    def set_batch_size(self, size, scale_learning_rate=False):
        """Has the next updates take `size` examples.

        Where batches are whole micro-batches it is rounded, and the learning rate is scaled by what rounding changed, so
        that η/b is exact.

        Args:
            scale_learning_rate: whether the rate grows in proportion to the run's first batch size (`linear_scaling`).

        Raises:
            ValueError: as `check` does.
        """
        self.check(size)
        low, rows = self.smallest, self.available or size
        rounded = size if self.exact else min(round(size / low), rows // low) * low
        linear = size / self.first_batch_size if scale_learning_rate else 1.0
        self.set(rounded, size, scale=rounded / size * linear)

    @property
    def available(self):
        """The number of training examples, of which an epoch may have fewer; None where nobody knows."""
        return self.population or self.rows

    @property
    def smallest(self):
        """The smallest batch that there can be."""
        return 1 if self.exact else self.micro_batch

    def check(self, size):
        """Refuses a batch size below the micro-batch, above the number of examples, or too large for the memory.

        Raises:
            ValueError: with what was asked for and what there is.
        """
        if not self.smallest <= size <= (self.available or size):
            held = "1" if self.exact else f"the micro-batch of {self.smallest}, which the graph holds from the start,"
            raise ValueError(f"batch size {size} must be between {held} and the {self.available} training examples")
        self.check_memory(size)

    def set(self, batch_size, planned, scale):
        if (batch_size, planned, scale) == self.in_force:
            return
        self.in_force, self.batch_size = (batch_size, planned, scale), batch_size
        self.size.assign(batch_size)
        self.accumulation.assign(self.micro_batches)
        self.planned_batch_size.assign(planned)
        self.learning_rate_scale.assign(scale)

    def state(self):
        """What a run that is taken up again needs to know, as numbers that JSON keeps to the last bit."""
        planned, scale = (float(tf.convert_to_tensor(v)) for v in (self.planned_batch_size, self.learning_rate_scale))
        examples = int(tf.convert_to_tensor(self.examples))
        return {"batch_size": self.batch_size, "planned": planned, "scale": scale, "examples": examples}

    def set_state(self, state):
        self.set(state["batch_size"], state["planned"], state["scale"])
        self.examples.assign(state["examples"])

    @property
    def epochs(self):
        """Epochs gone by, a float64 scalar tensor: examples seen / N, whatever the batch size was.

        Raises:
            ValueError: where nobody knows how many examples an epoch has.
        """
        if not self.rows:
            raise ValueError("a schedule in epochs needs to know how long an epoch is: give fit the argument steps_per_epoch")
        return tf.cast(self.examples, tf.float64) / tf.cast(self.examples_per_epoch, tf.float64)


class Views(NamedTuple):
    """What a trainer shows of its run to callbacks that write it down; nothing of it changes the run."""

    settings: dict  # for a person to read
    graph: Any  # a function: the traced `tf.Graph` of training, or None before the first trace
    traces: Any  # a function: how many traces of it were made
    inputs: Any  # a function: x of a training batch of this pass, as the model sees it after augmentation
    predictions: Any  # a function: (y, y_pred) of each batch of validation data in turn; or None without such data


@contextlib.contextmanager
def use(controls):
    """Makes `controls` the current ones, for the callbacks and schedules that run inside the block."""
    token = _current.set(controls)
    try:
        yield controls
    finally:
        _current.reset(token)


def current():
    """The `Controls` of the run in progress in this thread, or None."""
    return _current.get()


def needed_by(callback):
    """The current controls, without which `callback` has no effect."""
    controls = current()
    if controls is None:
        raise RuntimeError(
            f"{type(callback).__name__} steers tfnn.fit and found no such run: call tfnn.fit(model, ...), not model.fit(...)"
        )
    return controls


class Steering(keras.callbacks.Callback):
    """A callback that is heard between updates: under `tfnn.fit` where it asks for it, under `model.fit` before each batch.

    Updates are counted by the optimizer, so that the count goes on over several runs.
    """

    def updates_until_due(self, update):
        """After how many more updates, once `update` are done, it must be heard again; None where it need not be."""
        return None

    def on_update_begin(self, update):
        """Called before update number `update`: before each that it asked for, and before others, too."""

    def on_train_batch_begin(self, batch, logs=None):
        if current() is None:
            self.on_update_begin(int(tf.convert_to_tensor(self.model.optimizer.iterations)))


class BatchSteering(Steering):
    """A callback that changes the batch size. The one in force at the end of an epoch stands in its logs as `batch_size`.

    Args:
        mode: "accumulate": the trainer builds a graph that sums the gradients of micro-batches of the first size; or
            "rebatch": batches are really larger.
    """

    def __init__(self, mode="accumulate"):
        super().__init__()
        if mode not in ("accumulate", "rebatch"):
            raise ValueError(f"mode={mode!r} must be 'accumulate' or 'rebatch'")
        self.mode = mode

    @property
    def controls(self):
        """Of `tfnn.fit`, or of the `tfnn.data.growable` that `model.fit` runs on."""
        run = current() or getattr(self.growable, "controls", None)
        if run is None:
            raise RuntimeError(
                f"{type(self).__name__} changes the batch size, which model.fit fixes: call"
                " model.fit(tfnn.data.growable(x, y, batch_size), ...) without steps_per_epoch, or tfnn.fit(model, x, y, ...)"
            )
        return run

    @property
    def growable(self):
        """The `tfnn.data.growable` that `model.fit` runs on, or None."""
        return getattr((self.params or {}).get("steps"), "growable", None)

    def set_params(self, params):
        super().set_params(params)
        if self.growable is not None:
            self.growable.steered_by(self, params)

    def planned(self, update):
        """The batch size of update number `update` where it is planned: asked by what is read ahead."""
        return None

    def on_epoch_begin(self, epoch, logs=None):
        if self.growable is not None:
            self.growable.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["batch_size"] = self.controls.batch_size if self.growable is None else self.growable.last_size


class Freezing(keras.callbacks.Callback):
    """A callback that says which layers are trained in which epoch; a trainer asks it before it builds its graph."""

    def freeze_for(self, epoch):
        """Sets the layers' `trainable` flags to those of an epoch."""
        raise NotImplementedError


class Facts(NamedTuple):
    """What is known of an update just before it is made, as tensors."""

    update: Any  # its number, int64: the optimizer's count
    loss: Any  # the mean over the batch
    learning_rate: Any
    examples: Any  # of the batch, float32
    batch_size: Any  # those that it was to have, which the last of an epoch may lack
    weights: Any  # the trainable variables
    gradients: Any  # the means over the batch, in the weights' order; zeros where the loss does not depend on a weight
    micro_batch: Any  # examples of each of the parts whose gradients were summed, but perhaps the last
    parts: Any  # their number, int32
    part_squares: Any  # (weights,): Σ_j |g_j|² over the parts, where a probe wants it


class Probe(Steering):
    """A callback that measures inside the graph, at every `interval`-th update.

    A subclass gives `measure`, which is traced once, and keeps what it finds in variables that it makes in `build`; a
    checkpoint saves them, and an update that is undone leaves them as they were.
    """

    interval = 1
    optional = False  # whether a model that hides its gradients is trained without it, and not refused
    wants_parts = False  # whether it reads `Facts.part_squares`, which costs a pass over the gradients of each part

    def build(self, weights):
        """Makes the variables, before the graph is traced; gives a list of them."""
        return []

    def measure(self, facts):
        """Reads the `Facts` of an update and assigns variables; traced in the graph."""
        raise NotImplementedError

    def get_state(self):
        return [variable.numpy() for variable in self.variables]

    def set_state(self, state):
        for variable, value in zip(self.variables, state, strict=True):
            variable.assign(value)
