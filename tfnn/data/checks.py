"""Checks that arrays and class names can be trained on. `what` names their source in errors."""

import unicodedata

import numpy as np


def check_images(x, y, what):
    """Wants finite images (N, H, W, C) and an integer label for each, (N,)."""
    if x.ndim != 4 or 0 in x.shape:
        raise ValueError(f"{what}: images must have the shape (N, height, width, channels) with no 0, got {x.shape}")
    if x.dtype.kind not in "uif":
        raise ValueError(f"{what}: images must be numbers, got dtype {x.dtype}")
    if len(x) != len(y):
        raise ValueError(f"{what}: {len(x)} images but {len(y)} labels; each image needs one label")
    if y.ndim != 1 or y.dtype.kind not in "ui":
        raise ValueError(f"{what}: labels must be integers of shape (N,), got {y.dtype} of shape {y.shape}")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        rows = np.flatnonzero(~np.isfinite(x).all(axis=(1, 2, 3)))
        raise ValueError(f"{what}: {len(rows)} images hold NaN or infinity, the first is number {rows[0]}")


def check_classes(names, what):
    if len(names) < 2:
        raise ValueError(
            f"{what}: a classifier needs at least 2 classes, found {len(names)}: {', '.join(map(str, names)) or 'none'}"
        )
    spellings = {}
    for name in map(str, names):
        other = spellings.setdefault(unicodedata.normalize("NFC", name.strip()).casefold(), name)
        if other != name:
            how = "case" if len(name) == len(other) else "spaces, case or the form of their accents"
            raise ValueError(f"{what}: the classes {other!r} and {name!r} differ in {how} only; make them one")
    if len(spellings) < len(names):
        raise ValueError(f"{what}: a class is named twice among {', '.join(map(str, names))}")


def check_labels(found, names, what):
    strange = sorted(set(found) - set(names))
    if strange:
        raise ValueError(f"{what}: {', '.join(strange)} are none of the classes {', '.join(map(str, names))}")
