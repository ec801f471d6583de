"""How much work the host hands to the graph at a time."""

import contextlib
import time


class Pace:
    """The number of steps of one call of a graph, so that it lasts about `SECONDS`.

    A Python signal handler cannot run inside a TensorFlow call: the pieces are what lets Ctrl-C and SIGTERM through.
    """

    SECONDS = 0.5

    def __init__(self):
        self.steps = 1

    @contextlib.contextmanager
    def piece(self):
        """Times a call that took the block's list's sum of steps; grows tenfold at most, for the first call also traces."""
        done = []
        began = time.perf_counter()
        yield done
        per_step = (time.perf_counter() - began) / max(sum(done), 1)
        self.steps = max(1, min(10 * self.steps, int(self.SECONDS / per_step)))
