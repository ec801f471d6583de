"""Measures values of single updates in the graph, into a ring of rows, of which the host reads some hundreds at a time."""

import tensorflow as tf

ROWS = 1024


class Updates:
    """The loss, learning rate, gradient norm and means of each n-th update itself.

    The step of an update is the count of updates after it, so that the first is 1.

    Args:
        every: n, or None for no update.
        means: {name: `keras.metrics.Mean`}, whose value on the update is (Σ' − Σ)/(n' − n).
    """

    def __init__(self, every, means):
        self.every, self.means = every, means
        self.names = ["loss", "learning_rate", "gradient_norm", *means]

    def build(self):
        self.rows = tf.Variable(tf.zeros([ROWS, len(self.names)]), trainable=False)
        self.sums = tf.Variable(tf.zeros([len(self.means), 2]), trainable=False)  # (Σ, n) after the update before
        return [self.rows, self.sums]

    def measure(self, facts, squares):
        """Runs in the graph; `squares()` returns the square of each gradient's norm."""
        step = facts.update + 1
        sums = sums_of(self.means)
        added = tf.unstack(sums - self.sums)
        self.sums.assign(sums)

        def record():
            norm = tf.sqrt(tf.reduce_sum(squares()))
            row = tf.stack([facts.loss, facts.learning_rate, norm, *(part[0] / part[1] for part in added)])
            self.rows.scatter_nd_update([[step // self.every % ROWS]], row[None])

        if self.every == 1:
            record()
        else:
            tf.cond(step % self.every == 0, record, lambda: None)

    def begin(self, step):
        """Begins a session, in which the host has read the values up to `step`."""
        self.written = step

    def begin_epoch(self):
        """Sets the sums to 0, as Keras resets its metrics."""
        self.sums.assign(tf.zeros_like(self.sums))

    def until_full(self, step):
        return self.every * ROWS - (step - self.written)

    def read(self, step):
        """[(step, {name: value})] of the updates since the last reading; `step` updates have been made."""
        due = range(self.written // self.every * self.every + self.every, step + 1, self.every)
        self.written = step
        if not due:
            return []
        rows = self.rows.numpy().tolist()
        return [(at, dict(zip(self.names, rows[at // self.every % ROWS]))) for at in due]


def sums_of(means):
    """Σ and n of each metric, (metrics, 2)."""
    if not means:
        return tf.zeros([0, 2])
    return tf.stack([[tf.cast(tf.convert_to_tensor(v), tf.float32) for v in (m.total, m.count)] for m in means.values()])
