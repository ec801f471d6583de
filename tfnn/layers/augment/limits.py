"""The ranges from which random strengths are drawn."""

import numbers


def limits(name, factor, low, high, spread):
    """(lower, upper) from a pair, or from a number by way of `spread`; raises ValueError outside of [low, high]."""
    try:
        pair = spread(factor) if isinstance(factor, numbers.Real) else tuple(factor)
        lower, upper = sorted(float(bound) for bound in pair)
    except (TypeError, ValueError):
        lower, upper = low - 1, high + 1
    if not (low <= lower and upper <= high):
        raise ValueError(f"{name}={factor} must be a number or a pair of two, from {low} to {high}")
    return lower, upper


def symmetric(factor):
    return -abs(factor), abs(factor)


def from_zero(factor):
    return 0, factor


def always(factor):
    return factor, factor


def between(pair, u):
    """Stretches uniform numbers `u` in [0, 1) over `pair`."""
    lower, upper = pair
    return lower + (upper - lower) * u
