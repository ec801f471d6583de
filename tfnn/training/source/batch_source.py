"""What all sources have in common that a graph reads batch by batch, through a `tf.data` iterator."""

import contextlib

import keras
import tensorflow as tf

from tfnn.training.source.batches import rows, without_optionals


class BatchSource:
    """A `tfnn.training.source.Source` whose place is [batches, examples] of this pass that were read.

    A subclass sets `iterator` and `place` in `seek`, and the attributes of a `Source`.

    Args:
        name: of what it reads, for messages.
    """

    once = False
    order = None  # of the examples of a pass, where it is known
    last = None  # the batch that was read last, a `tf.experimental.Optional`

    def __init__(self, name):
        self.name, self.iterator = name, None
        self.passes, self.place, self.ended = None, [0, 0], False

    @property
    def ragged(self):
        return any(None in tuple(spec.shape)[1:] for spec in keras.tree.flatten(self.spec) if spec is not None)

    def measure(self):
        pass

    def updates_left(self, controls):
        return self.length and -(-(self.length - self.place[0]) // controls.micro_batches)

    def state(self):
        return {"passes": self.passes, "at": self.place}

    def restore(self, state):
        self.seek(state["passes"], state["at"])

    def go_on_after(self, state):
        pass

    def moved_to(self, place, ended):
        """Takes note of what was read of its iterator."""
        self.place, self.ended = place, ended or place[0] == self.length
        if self.ended and not place[0]:
            raise ValueError(f"tfnn.fit needs at least one batch, and the {self.name} has none")

    def naming_what_cannot_be_read(self, batches=None):
        """A context in which the next `batches` are read, None for all: an error inside names what could not be read."""
        return contextlib.nullcontext()

    def sample(self):
        """The batch that was read last, as reading more would change what comes."""
        return self.read_last(self.last)

    def read_last(self, last):
        """(batch, its examples) of the Optional that was read last."""
        batch = without_optionals(last.get_value())
        examples = tf.range(self.place[1] - rows(batch), self.place[1])
        return batch, examples if self.order is None else tf.gather(self.order, examples)

    def __iter__(self):
        self.seek(0)
        return map(without_optionals, self.iterator)
