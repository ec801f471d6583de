"""How right a classifier is about each class."""

import numpy as np

from tfnn.diagnose.table import aligned, percent


def by_class(matrix, names):
    """Precision and recall of each class.

    precision_k = M_kk / Σ_i M_ik, of those taken for class k the share that is; recall_k = M_kk / Σ_j M_kj, of those of
    class k the share that is found (van Rijsbergen 1979, "Information Retrieval", chapter 7).

    Args:
        matrix: the confusion matrix M (classes, classes), a row for each true class.
        names: of the classes.

    Returns:
        {name: {"images", "precision", "recall"}}; None where there is nothing to take the share of.
    """
    right, true, taken = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    share = lambda part, whole: round(float(part / whole), 6) if whole else None
    return {
        name: {"images": int(true[k]), "precision": share(right[k], taken[k]), "recall": share(right[k], true[k])}
        for k, name in enumerate(names)
    }


def table(classes):
    """What `by_class` gives as aligned text, those found least first."""
    rows = sorted(classes.items(), key=lambda row: (row[1]["recall"] is None, row[1]["recall"], row[1]["precision"] or 0))
    columns = [
        aligned(["class", *(name for name, _ in rows)], "<"),
        aligned(["images", *(str(one["images"]) for _, one in rows)], ">"),
        *(aligned([name, *(percent(one[name]) for _, one in rows)], ">") for name in ("precision", "recall")),
    ]
    return "\n".join("  ".join(cells) for cells in zip(*columns))
