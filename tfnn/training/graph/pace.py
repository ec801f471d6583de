"""How much work the host hands to the graph at a time."""


class Pace:
    """The number of steps of the next call of a graph, such that it lasts about half a second.

    Half, because a run that is interrupted has to wait for its end and still wants to save what was reached.
    A Python signal handler cannot run inside a TensorFlow call: the pieces are what lets Ctrl-C and SIGTERM through.
    """

    SECONDS = 0.5

    def __init__(self):
        self.steps = 1

    def record(self, steps, seconds):
        """Follows what a call took; tenfold at most, as the first call traces, too, and tells little."""
        self.steps = max(1, min(10 * self.steps, int(self.SECONDS * steps / max(seconds, 1e-9))))
