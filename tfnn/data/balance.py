"""Classes of unequal size."""

from collections.abc import Sequence

import numpy as np


def balanced_class_weight(labels: Sequence[int] | np.ndarray, classes: int | None = None) -> dict[int, float]:
    """Weights that make all classes count alike: w_k = N / (K n_k). Their mean over the examples is 1.

    This is the rule of King & Zeng 2001, "Logistic regression in rare events data", section 3, in the form of
    scikit-learn's `class_weight="balanced"`.

    Args:
        labels: integers (N,), such as `data.train.y`.
        classes: the number of classes K, or their names, which the error then uses; None means the largest label + 1.

    Returns:
        {label: weight}, for `class_weight` of `tfnn.fit` or `model.fit`.

    Raises:
        ValueError: if a class has no examples; no weight can make up for that.

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
    """One line on how many training images the classes have; it names the smallest class and the largest.

    Example:
        >>> print(tfnn.data.imbalance(tfnn.data.digits()))
    """
    counts = np.bincount(data.train.y, minlength=len(data.class_names))
    least, most = counts.argmin(), counts.argmax()
    if counts[least] == counts[most]:
        return f"{len(counts)} classes of {counts[most]} training images each"
    ratio = f", 1 : {counts[most] / counts[least]:.3g}" if counts[least] else ""
    return (
        f"{len(counts)} classes of {counts[least]} ({data.class_names[least]}) to {counts[most]}"
        f" ({data.class_names[most]}) training images{ratio}"
    )
