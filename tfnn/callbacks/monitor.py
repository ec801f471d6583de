"""The entry of an epoch's logs that a callback watches, and which way of it is better."""

import warnings

from tfnn.internals.callbacks import direction_of
from tfnn.internals.compiled import every_metric


def monitored(callback, logs, otherwise):
    """The watched entry as a float, or None. If it is missing, a warning says once what the callback then does."""
    value = (logs or {}).get(callback.monitor)
    if value is not None:
        return float(value)
    if not callback.warned:
        callback.warned = True
        names = ", ".join(logs or {}) or "none"
        warnings.warn(
            f"{type(callback).__name__} {otherwise}: monitor={callback.monitor!r} is not in the logs ({names})", stacklevel=3
        )
    return None


def check_direction(name, direction):
    if direction not in ("auto", "min", "max"):
        raise ValueError(f"{name}={direction!r} must be 'auto', 'min' or 'max'")


def sign_of(callback, name, direction):
    """1 if more of the watched entry is better, −1 if less is; with "auto" the metric itself decides.

    Args:
        name: the name of the argument by which `callback` was given `direction`.
    """
    if direction != "auto":
        return 1 if direction == "max" else -1
    watched = callback.monitor.removeprefix("val_")
    metrics = every_metric(callback.model)
    direction = {metric.name: direction_of(metric) for metric in metrics}.get(watched)
    if direction is None and not watched.endswith("loss"):
        names = ", ".join(metric.name for metric in metrics)
        raise ValueError(
            f"monitor={callback.monitor!r} does not tell which way is better (metrics: {names}):"
            f" give {name}='min' or {name}='max'"
        )
    return 1 if direction == "up" else -1
