"""Ranges that random strengths are drawn from."""

import numbers


def limits(name, factor, low, high, spread):
    """(lower, upper) of a pair, or of a number by `spread`; ValueError outside of [low, high]."""
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
    """Uniform numbers `u` of [0, 1), stretched over `pair`."""
    lower, upper = pair
    return lower + (upper - lower) * u
