"""What a run reads. A source knows nothing of graphs: it seeks a place and yields batches; graphs move it on."""

from typing import Any, Protocol


class Source(Protocol):
    """Examples in an order that is a function of (seed, pass), from any place on.

    A place is where in a pass the next update begins: for arrays the number of examples before it, for what is read batch by
    batch [batches, examples].
    """

    micro_batch: int | None  # examples of a batch; None where nobody knows, before `measure`
    static_batch: int | None  # examples of every batch; None where the last one may be smaller, or nobody knows
    length: int | None  # batches of a pass, None where nobody knows
    passes: int | None  # the number of the pass that is read, None before the first `seek`
    place: Any
    ended: bool  # whether no example of this pass is left
    once: bool  # whether it can be read a single time, as a generator
    ragged: bool  # whether arrays differ from batch to batch in more than the number of examples
    spec: Any  # (x, y, sample_weight) of a batch as tensor specs; the number of examples is None
    batch_spec: Any  # the same in the form in which Keras hands a batch to a training step

    def measure(self):
        """Learns `micro_batch`, for which the first batch may be read."""

    def soften(self, soft):
        """Puts `soft(y)` in the place of the labels."""

    def seek(self, passes, place=...):
        """Goes to a place in pass number `passes`; without one to its begin."""

    def state(self):
        """Pass and place, as JSON holds them."""

    def restore(self, state):
        """Goes to where `state()` was told."""

    def go_on_after(self, state):
        """Takes up what the next pass depends on besides its number, where `state()` was told at the end of a pass."""

    def updates_left(self, controls):
        """In this pass, with the batch size that `controls` hold; None where nobody knows."""

    def examples(self, updates, controls):
        """Examples of an epoch of so many updates, or of a pass where `updates` is None; None where nobody knows."""

    def sample(self):
        """(A batch of this pass, its examples), without moving on."""

    def __iter__(self):
        """The batches of one pass, in the order of validation."""

    def close(self):
        """Ends a pass, whose worker threads or processes then end, too."""
