"""The entry of an epoch's logs that a callback watches, and which way of it is better."""

import warnings


def monitored(callback, logs, otherwise):
    """The watched entry as a float, or None. Where it is missing, a line says once what the callback then does."""
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


def check_mode(mode):
    if mode not in ("auto", "min", "max"):
        raise ValueError(f"mode={mode!r} must be 'auto', 'min' or 'max'")


def sign_of(callback):
    """1 where more of the watched entry is better, −1 where less is; under mode="auto" the metric says itself which."""
    if callback.mode != "auto":
        return 1 if callback.mode == "max" else -1
    name = callback.monitor.removeprefix("val_")
    metrics = [part for metric in callback.model.metrics for part in getattr(metric, "metrics", [metric])]
    direction = {metric.name: getattr(metric, "_direction", None) for metric in metrics}.get(name)
    if direction is None and not name.endswith("loss"):
        names = ", ".join(metric.name for metric in metrics)
        raise ValueError(
            f"monitor={callback.monitor!r} does not tell which way is better (metrics: {names}): give mode='min' or mode='max'"
        )
    return 1 if direction == "up" else -1
