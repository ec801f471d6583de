"""The few numbers that a running graph reads, by which callbacks and schedules steer it.

A callback sets them between two pieces of a run; the graph reads them at its next update, without a new trace. A schedule
written in epochs reads the clock, which counts examples and so keeps its pace when the batch grows.
"""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import tensorflow as tf

CURRENT: contextvars.ContextVar["Controls | None"] = contextvars.ContextVar("tfnn_controls", default=None)


class Batch(NamedTuple):
    """The batch of the next updates."""

    size: int  # examples
    planned: float  # examples, before they were rounded to whole micro-batches
    scale: float  # the factor of the learning rate


class Controls:
    """The state of one run that its graph and its callbacks share.

    Args:
        micro_batch: the examples of one forward and backward pass on all replicas together, unless the run re-batches. It
            is static in the graph, where an update sums the gradients of several micro-batches.
        exact: whether a batch may have any size, as where it is really larger; otherwise it is whole micro-batches.
        accumulates: whether an update may sum the gradients of several micro-batches.

    Example:
        >>> run = tfnn.controls.Controls(micro_batch=32)
        >>> run.begin(rows=1000, epoch=0)
        >>> run.set_batch_size(100)
        >>> run.batch_size, run.micro_batches  # (96, 3)
    """

    views = None  # `Views`, while a run is in progress

    def __init__(self, micro_batch: int, exact: bool = False, accumulates: bool = False) -> None:
        self.micro_batch, self.exact, self.accumulates, self.rows = micro_batch, exact, accumulates, None
        self.population = None  # the number of training examples, even if an epoch has fewer; None if unknown
        self.check_memory = fits  # raises if a batch is too large; set where batches really grow
        # A copy of the variables on the host: reading or setting them between two calls of a graph costs as much as an update.
        self.in_force = Batch(micro_batch, micro_batch, 1.0)
        self.size = tf.Variable(micro_batch, dtype=tf.int32, trainable=False)
        self.accumulation = tf.Variable(1, dtype=tf.int32, trainable=False)  # micro-batches of one update
        self.planned_batch_size = tf.Variable(micro_batch, dtype=tf.float64, trainable=False)
        self.learning_rate_scale = tf.Variable(1.0, trainable=False)
        self.examples = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.examples_per_epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.seed = tf.Variable(0, dtype=tf.int32, trainable=False)

    def begin(self, rows, epoch, seed=0, micro_batches=1):
        """Starts a run at the start of `epoch`.

        Args:
            rows: the number of examples in an epoch, or None if it is unknown.
            seed: the seed of the run's random layers.
            micro_batches: how many micro-batches an update sums at the start.
        """
        self.start(seed, micro_batches)
        self.begin_clock(rows, epoch)

    def start(self, seed, micro_batches):
        """Sets the first batch size of a run, and the seed of its random layers."""
        self.first_batch_size = self.micro_batch * micro_batches
        self.set(Batch(self.first_batch_size, self.first_batch_size, 1.0))
        self.seed.assign(seed)

    def begin_clock(self, rows, epoch):
        """Sets the count of examples to the start of `epoch`, given that an epoch has `rows` examples."""
        self.rows = rows
        self.examples_per_epoch.assign(rows or 0)
        self.examples.assign((rows or 0) * epoch)

    @property
    def batch_size(self):
        """The number of examples of one update."""
        return self.in_force.size

    @property
    def micro_batches(self):
        """The number of micro-batches of one update."""
        return max(1, round(self.batch_size / self.micro_batch))

    def set_batch_size(self, size: int, scale_learning_rate: bool = False) -> None:
        """Lets each of the next updates take `size` examples.

        Where batches are whole micro-batches, the size is rounded and the learning rate is scaled to match, so that η/b is
        exact.

        Args:
            scale_learning_rate: whether the rate grows with the ratio to the run's first batch size (`linear_scaling`).

        Raises:
            ValueError: as `check` does.
        """
        self.check(size)
        low, rows = self.smallest, self.available or size
        rounded = size if self.exact else min(round(size / low), rows // low) * low
        linear = size / self.first_batch_size if scale_learning_rate else 1.0
        self.set(Batch(rounded, size, rounded / size * linear))

    @property
    def available(self):
        """The number of training examples, or None if it is unknown. An epoch may have fewer."""
        return self.population or self.rows

    @property
    def smallest(self):
        """The smallest possible batch size."""
        return 1 if self.exact else self.micro_batch

    def check(self, size):
        """Refuses a batch size below the micro-batch, above the number of examples, or too large for the memory.

        Raises:
            ValueError: which names the size that was asked for and the bounds.
        """
        if not self.smallest <= size <= (self.available or size):
            held = "1" if self.exact else f"the micro-batch of {self.smallest}, which the graph holds from the start,"
            raise ValueError(f"batch size {size} must be between {held} and the {self.available} training examples")
        self.check_memory(size)

    def set(self, batch):
        """Lets the next updates take a `Batch`."""
        if batch == self.in_force:
            return
        self.in_force = batch
        self.size.assign(batch.size)
        self.accumulation.assign(self.micro_batches)
        self.planned_batch_size.assign(batch.planned)
        self.learning_rate_scale.assign(batch.scale)

    def state(self):
        """What a resumed run needs to know, as numbers that JSON keeps to the last bit."""
        planned, scale = (float(tf.convert_to_tensor(v)) for v in (self.planned_batch_size, self.learning_rate_scale))
        examples = int(tf.convert_to_tensor(self.examples))
        return {"batch_size": self.batch_size, "planned": planned, "scale": scale, "examples": examples}

    def set_state(self, state):
        self.set(Batch(state["batch_size"], state["planned"], state["scale"]))
        self.examples.assign(state["examples"])

    @property
    def epochs(self):
        """The epochs that have passed, a float64 scalar tensor: examples seen / N, whatever the batch size was.

        Raises:
            ValueError: if the number of examples in an epoch is unknown.
        """
        if not self.rows:
            raise ValueError("a schedule in epochs needs to know how long an epoch is: give fit the argument steps_per_epoch")
        return tf.cast(self.examples, tf.float64) / tf.cast(self.examples_per_epoch, tf.float64)


def fits(size):
    """What checks the memory where nothing bounds a batch."""


class Views(NamedTuple):
    """What a trainer shows of its run to callbacks that record it, such as `TensorBoard`; it cannot change the run.

    Example:
        >>> class ShowTraces(keras.callbacks.Callback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         print(tfnn.controls.current().views.traces())
        >>> history = tfnn.fit(model, x, y, callbacks=[ShowTraces()])
    """

    settings: dict  # for a person to read
    graph: Any  # a function that returns the traced `tf.Graph` of training, or None before the first trace
    traces: Any  # a function that returns how often that graph was traced
    inputs: Any  # a function that returns x of a training batch of this pass, as the model sees it after augmentation
    predictions: Any  # a function that yields (y, y_pred) of each batch of validation data; or None without such data


@contextlib.contextmanager
def use(controls: Controls) -> Iterator[Controls]:
    """Makes `controls` the current ones for the callbacks and schedules that run inside the block.

    Example:
        >>> run = tfnn.controls.Controls(micro_batch=32)
        >>> run.begin(rows=1000, epoch=3)
        >>> with tfnn.controls.use(run):
        ...     rate = tfnn.schedules.InEpochs(tfnn.schedules.Cosine(0.1, 30))(0)  # that of epoch 3
    """
    token = CURRENT.set(controls)
    try:
        yield controls
    finally:
        CURRENT.reset(token)


def current() -> Controls | None:
    """The `Controls` of the run in progress in this thread, or None.

    Example:
        >>> tfnn.controls.current()  # None: no run is in progress
    """
    return CURRENT.get()


def needed_by(callback: keras.callbacks.Callback) -> Controls:
    """The current controls, without which `callback` would have no effect.

    Raises:
        RuntimeError: if `tfnn.fit` is not running.

    Example:
        >>> class Show(keras.callbacks.Callback):
        ...     def on_epoch_begin(self, epoch, logs=None):
        ...         print(tfnn.controls.needed_by(self).batch_size)
        >>> history = tfnn.fit(model, x, y, callbacks=[Show()])
    """
    controls = current()
    if controls is None:
        raise RuntimeError(
            f"{type(callback).__name__} steers tfnn.fit and found no such run: call tfnn.fit(model, ...), not model.fit(...)"
        )
    return controls
