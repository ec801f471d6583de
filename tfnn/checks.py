"""Numbers among the arguments: each function gives the number, or a ValueError that says in one line what is wanted.

`name` is an argument, or the words for a number that has no name of its own, such as "the batch size of epoch 3".
`wanted` takes the place of the words for the range.
"""

import math
import operator

import numpy as np


def integer(name, value, low=0, high=math.inf, wanted=None):
    """An integer in [low, high) as an int. NumPy's are integers, too; True, False and 2.0 are not."""
    found = whole(value)
    if found is None or not low <= found < high:
        below = f" and below {high}" if high < math.inf else ""
        raise refusal(name, value, wanted or f"an integer of at least {low}{below}")
    return found


def positive_integer(name, value, wanted="a positive integer"):
    return integer(name, value, low=1, wanted=wanted)


def int32(name, value, low=0):
    """An integer of at least `low` that TensorFlow's int32 holds. As a quotient gives it, a float that is whole will do."""
    found = whole(plain(value))
    if found is None or not low <= found < 2**31:
        raise refusal(name, value, f"an integer of at least {low} and below 2**31")
    return found


def number(name, value, low=0.0, high=math.inf, wanted=None):
    """A number in [low, high), as it is."""
    words = f"at least {low:g} and finite" if high == math.inf else f"in [{low:g}, {high:g})"
    return within(lambda: low <= value < high, name, value, wanted or words)


def positive(name, value):
    """A number in (0, ∞), as it is."""
    return within(lambda: 0 < value < math.inf, name, value, "positive and finite")


def fraction(name, value):
    """A number in [0, 1], as it is."""
    return within(lambda: 0 <= value <= 1, name, value, "in [0, 1]")


def whole(value):
    """`value` as an int, or None where it is no integer."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def plain(value):
    """A tensor or an array of one number as a Python number, and a float that is whole as an int; all else as it is."""
    value = np.asarray(value).item() if hasattr(value, "__array__") and np.size(value) == 1 else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def within(holds, name, value, wanted):
    try:
        good = bool(holds())
    except (TypeError, ValueError):  # text, None, or an array of several numbers
        good = False
    if not good:
        raise refusal(name, value, wanted)
    return value


def refusal(name, value, wanted):
    if name.isidentifier():
        return ValueError(f"{name}={value!r} must be {wanted}")
    return ValueError(f"{name} must be {wanted}, got {value!r}")
