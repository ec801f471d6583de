"""Precision and recall of a classifier, class by class."""

import numpy as np

from tfnn.diagnose.table import aligned, percent


def by_class(matrix, names):
    """Precision and recall of each class.

    precision_k = M_kk / Σ_i M_ik is the share of images classified as k that are of class k; recall_k = M_kk / Σ_j M_kj is
    the share of images of class k that are classified as k (van Rijsbergen 1979, "Information Retrieval", chapter 7).

    Args:
        matrix: the confusion matrix M (classes, classes), with a row for each true class.
        names: the names of the classes.

    Returns:
        {name: {"images", "precision", "recall"}}; a share is None if it would be one of no images.
    """
    right, true, taken = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    share = lambda part, whole: round(float(part / whole), 6) if whole else None
    return {
        name: {"images": int(true[k]), "precision": share(right[k], taken[k]), "recall": share(right[k], true[k])}
        for k, name in enumerate(names)
    }


def table(classes):
    """The result of `by_class` as aligned text, the class with the lowest recall first."""
    rows = sorted(classes.items(), key=lambda row: (row[1]["recall"] is None, row[1]["recall"], row[1]["precision"] or 0))
    columns = [
        aligned(["class", *(name for name, _ in rows)], "<"),
        aligned(["images", *(str(one["images"]) for _, one in rows)], ">"),
        *(aligned([name, *(percent(one[name]) for _, one in rows)], ">") for name in ("precision", "recall")),
    ]
    return "\n".join("  ".join(cells) for cells in zip(*columns))
