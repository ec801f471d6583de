"""Checks the size of the largest batch to which a callback grows."""

from tfnn.checks import positive_integer


def checked(max_batch_size):
    """`max_batch_size` as an int, or None.

    Raises:
        ValueError: for anything but None or a positive integer.
    """
    if max_batch_size is None:
        return None
    return positive_integer("max_batch_size", max_batch_size, "a positive integer or None")


def check_range(max_batch_size, first, rows):
    """Refuses a size below the batch size that a run begins with, or above the number of training examples, if known."""
    if not first <= max_batch_size <= (rows or max_batch_size):
        end = f" and the {rows} training examples" if rows else ""
        raise ValueError(
            f"max_batch_size={max_batch_size} must be between the batch size of {first} that the run begins with{end}"
        )
