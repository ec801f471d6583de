"""Checks the size of the largest batch to which a callback grows."""

import operator


def checked(max_batch_size):
    """`max_batch_size` as an int, or None.

    Raises:
        ValueError: for anything but None or a positive integer.
    """
    try:
        if max_batch_size is None or (operator.index(max_batch_size) > 0 and not isinstance(max_batch_size, bool)):
            return max_batch_size if max_batch_size is None else operator.index(max_batch_size)
    except TypeError:
        pass
    raise ValueError(f"max_batch_size={max_batch_size!r} must be a positive integer or None")


def check_range(max_batch_size, first, rows):
    """Refuses a size below the batch size that a run begins with, or above the number of training examples, if known."""
    if not first <= max_batch_size <= (rows or max_batch_size):
        end = f" and the {rows} training examples" if rows else ""
        raise ValueError(
            f"max_batch_size={max_batch_size} must be between the batch size of {first} that the run begins with{end}"
        )
