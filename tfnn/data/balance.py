"""Classes of unequal size."""

from collections.abc import Sequence

import numpy as np


def balanced_class_weight(labels: Sequence[int] | np.ndarray, classes: int | None = None) -> dict[int, float]:
    """Weights that make classes count alike: w_k = N / (K n_k), of mean 1 over the examples.

    The rule of King & Zeng 2001, "Logistic regression in rare events data", section 3, as scikit-learn's
    `class_weight="balanced"` has it.

    Args:
        labels: integers (N,), such as `data.train.y`.
        classes: their number K, or their names, for the error; None is the largest label + 1.

    Returns:
        {label: weight}, for `class_weight` of `tfnn.fit` or `model.fit`.

    Raises:
        ValueError: for a class without examples, which no weight can make up for.

    Example:
        >>> tfnn.data.balanced_class_weight([0, 0, 0, 1])
        {0: 0.6666666666666666, 1: 2.0}
    """
    names = classes if np.iterable(classes) else range(classes or 0)
    counts = np.bincount(np.asarray(labels), minlength=len(names))
    if not len(counts) or not counts.all():
        empty = [str(names[label] if label < len(names) else label) for label in np.flatnonzero(counts == 0)]
        raise ValueError(f"classes without examples, so that no weight balances them: {', '.join(empty) or 'all'}")
    return {label: len(labels) / (len(counts) * count) for label, count in enumerate(counts.tolist())}


def imbalance(data):
    """One line on the sizes of a data set's classes in its training part, the smallest and the largest named."""
    counts = np.bincount(data.train.y, minlength=len(data.class_names))
    least, most = counts.argmin(), counts.argmax()
    if counts[least] == counts[most]:
        return f"{len(counts)} classes of {counts[most]} training images each"
    ratio = f", 1 : {counts[most] / counts[least]:.3g}" if counts[least] else ""
    return (
        f"{len(counts)} classes of {counts[least]} ({data.class_names[least]}) to {counts[most]}"
        f" ({data.class_names[most]}) training images{ratio}"
    )
