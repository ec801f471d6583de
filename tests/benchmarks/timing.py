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
    """Times `ours` against each of `peers` ({name: function}), alternating; the functions are called once before.

    Each function does a fixed amount of work; `scale` turns its seconds into `unit`. The ratio is the median of the
    ratios of neighbouring runs, which holds when the machine's speed drifts.
    """
    functions = {"tfnn": ours, **peers}
    seconds = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(rounds):
        for name, function in functions.items():
            began = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - began)
    middle = lambda values: statistics.median(values)
    return [
        Row(
            what,
            name,
            middle(seconds["tfnn"]) * scale,
            middle(seconds[name]) * scale,
            unit,
            middle([peer / our for our, peer in zip(seconds["tfnn"], seconds[name])]),
        )
        for name in peers
    ]
