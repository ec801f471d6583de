"""Fair comparisons on a shared, noisy machine: both sides in one run, in turn, medians."""

import dataclasses
import statistics
import time


@dataclasses.dataclass(frozen=True)
class Row:
    """One comparison; `ratio` above 1 means that tfnn is the faster."""

    what: str
    peer_name: str
    ours: float
    peer: float
    unit: str
    ratio: float

    def __str__(self):
        return f"{self.what:34} {self.peer_name:36} {self.ours:10.2f} {self.peer:10.2f} {self.unit:12} {self.ratio:6.2f}"


HEADER = f"{'what':34} {'against':36} {'ours':>10} {'peer':>10} {'unit':12} {'ratio':>6}"


def compare(what, ours, peers, unit="ms/epoch", scale=1e3, rounds=7):
    """Times `ours` against each of `peers` ({name: function}) in turn, A B A B, after a first call of each.

    Each function does a fixed amount of work; `scale` turns its seconds into `unit`. The ratio is the median of the
    ratios of neighbouring runs, which holds when the machine's speed drifts. Peers are met one by one: several at a time
    would also measure how the thread pools of one library are in the way of another's.
    """
    ours()
    for name, peer in peers.items():
        peer()
        pairs = [(seconds(ours), seconds(peer)) for _ in range(rounds)]
        our_median, peer_median = (statistics.median(side) * scale for side in zip(*pairs))
        yield Row(what, name, our_median, peer_median, unit, statistics.median(b / a for a, b in pairs))


def seconds(function):
    began = time.perf_counter()
    function()
    return time.perf_counter() - began
