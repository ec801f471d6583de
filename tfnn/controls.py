"""The contract between a trainer and what steers it: the few numbers that a running graph reads.

A callback sets them between two pieces of a run; the graph reads them at its next update, without a new trace.
A schedule written in epochs reads the clock, which counts examples and so does not bend when the batch grows.
"""

import contextlib
import contextvars

import keras
import tensorflow as tf

_current = contextvars.ContextVar("tfnn_controls", default=None)


class Controls:
    """The state of one run that its graph and its callbacks share.

    Args:
        micro_batch: examples of one forward and backward pass on all replicas together. It is static in the graph; an
            update sums the gradients of `micro_batches` of them.
    """

    def __init__(self, micro_batch):
        self.micro_batch, self.rows = micro_batch, None
        self.micro_batches = 1  # beside the variable, whose reading between two calls of a graph costs as much as an update
        self.accumulation = tf.Variable(1, dtype=tf.int32, trainable=False)
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
        self.rows = rows
        self.accumulate(micro_batches, scale=1.0)
        self.seed.assign(seed)
        self.examples_per_epoch.assign(rows or 0)
        self.examples.assign((rows or 0) * epoch)

    @property
    def batch_size(self):
        """Examples of one update."""
        return self.micro_batch * self.micro_batches

    @batch_size.setter
    def batch_size(self, size):
        """Rounds to whole micro-batches and scales the learning rate by what rounding changed, so that η/b is exact."""
        if not self.micro_batch <= size <= (self.rows or size):
            raise ValueError(
                f"batch size {size} must be between the micro-batch of {self.micro_batch}, which the graph holds"
                f" from the start, and the {self.rows} training examples"
            )
        micro_batches = min(round(size / self.micro_batch), (self.rows or size) // self.micro_batch)
        self.accumulate(micro_batches, scale=micro_batches * self.micro_batch / size)

    @property
    def planned_batch_size(self):
        """The size that was asked for, before it was rounded to micro-batches: a float64 scalar tensor."""
        return tf.cast(self.micro_batch * self.accumulation, tf.float64) / tf.cast(self.learning_rate_scale, tf.float64)

    def accumulate(self, micro_batches, scale):
        self.micro_batches = micro_batches
        self.accumulation.assign(micro_batches)
        self.learning_rate_scale.assign(scale)

    def state(self):
        """What a run that is taken up again needs to know, as numbers that JSON keeps to the last bit."""
        scale = float(tf.convert_to_tensor(self.learning_rate_scale))
        return {"micro_batches": self.micro_batches, "scale": scale, "examples": int(tf.convert_to_tensor(self.examples))}

    def set_state(self, state):
        self.accumulate(state["micro_batches"], state["scale"])
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


class BatchSteering(keras.callbacks.Callback):
    """A callback that changes the batch size: the trainer then builds a graph that accumulates gradients."""

    @property
    def controls(self):
        return needed_by(self)
