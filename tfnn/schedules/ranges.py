"""The ranges of a schedule's arguments, used as annotations of its fields."""

import itertools
import math
from collections.abc import Sequence
from typing import Annotated

from tfnn.checks import whole


class Range:
    """What a value must be, in words and as a predicate."""

    def __init__(self, words, holds):
        self.words, self.holds = words, holds

    def __repr__(self):  # what `help` shows beside the argument
        return self.words

    def check(self, name, value):
        try:
            holds = self.holds(value)
        except TypeError:  # not a number at all
            holds = False
        if not holds:
            raise ValueError(f"{name}={value!r} must be {self.words}")


def check(name, value, kind):
    """Checks a value against the `Range` in the annotation `kind`."""
    kind.__metadata__[0].check(name, value)


Positive = Annotated[float, Range("positive and finite", lambda x: 0 < x < math.inf)]
NotNegative = Annotated[float, Range("at least 0 and finite", lambda x: 0 <= x < math.inf)]
AtLeastOne = Annotated[float, Range("at least 1 and finite", lambda x: 1 <= x < math.inf)]
Fraction = Annotated[float, Range("in [0, 1]", lambda x: 0 <= x <= 1)]
PositiveInteger = Annotated[int, Range("a positive integer", lambda x: whole(x) > 0)]
Rising = Annotated[Sequence[float], Range("a list of rising numbers", lambda xs: all(a < b for a, b in itertools.pairwise(xs)))]
Rates = Annotated[
    Sequence[float], Range("a list of rates that are at least 0 and finite", lambda xs: all(0 <= x < math.inf for x in xs))
]
