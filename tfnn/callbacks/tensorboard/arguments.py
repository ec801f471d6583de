"""Checks the arguments of `TensorBoard`."""

import operator
import os

from tfnn.checks import positive_integer


def every(update_freq):
    """n, where every n-th update is shown; None if none is."""
    if update_freq in ("epoch", "batch"):
        return 1 if update_freq == "batch" else None
    return positive_integer("update_freq", update_freq, "'epoch', 'batch' or a positive number of updates")


def window(profile_batch):
    """(first, one past the last) update to profile, counted from 0, or None. The argument counts from 1, as in Keras."""
    given = profile_batch.split(",") if isinstance(profile_batch, str) else profile_batch
    try:
        parts = [operator.index(int(part) if isinstance(part, str) else part) for part in given]
    except TypeError:
        parts = [given, given]
    except ValueError:
        parts = []
    parts = 2 * parts if len(parts) == 1 else parts
    if parts == [0, 0]:
        return None
    if len(parts) != 2 or not all(type(part) is int for part in parts) or not 0 < parts[0] <= parts[1]:
        raise ValueError(f"profile_batch={profile_batch!r} must be 0, a batch, or (first, last), which count from 1")
    return parts[0] - 1, parts[1]


def names(class_names):
    if class_names is None:
        return None
    if isinstance(class_names, str) or not hasattr(class_names, "__iter__"):
        raise ValueError(f"class_names={class_names!r} must be a list of names")
    return [str(name) for name in class_names]


def files(metadata):
    if metadata is not None and not isinstance(metadata, (str, os.PathLike, dict)):
        raise ValueError(f"embeddings_metadata={metadata!r} must be a file or a dict of layers' names and files")
    return metadata
