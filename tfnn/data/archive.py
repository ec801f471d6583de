"""Arrays in a `.npz` file."""

import os
import pathlib
import zipfile
import zlib

import numpy as np

from tfnn.data.checks import check_classes, check_images
from tfnn.data.dataset import Dataset, Part
from tfnn.data.known import hold_out

KEYS = ("x_train", "y_train", "x_test", "y_test")


def archive(path: str | os.PathLike) -> Dataset:
    """Loads a `.npz` file that holds `x_train`, `y_train`, `x_test`, `y_test` and, optionally, `class_names`.

    Images have the shape (N, H, W) or (N, H, W, C), integer labels (N,) or (N, 1). A tenth of the training part is held
    out for validation, stratified by class. The value range is 0 to 255 for uint8, 0 to 1 if all training pixels lie
    within it, else the smallest and the largest value in the training part.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not a `.npz`, lacks an array, or holds arrays that do not fit together.

    Example:
        >>> np.savez("mine.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
        >>> data = tfnn.data.archive("mine.npz")
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        stored = np.load(path, allow_pickle=False)
        if not isinstance(stored, np.lib.npyio.NpzFile):
            raise ValueError("it is a single array")
        with stored:
            arrays = {key: stored[key] for key in stored.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: not a readable .npz archive of arrays ({error})") from None
    missing = [key for key in KEYS if key not in arrays]
    if missing:
        raise ValueError(f"{path}: lacks {', '.join(missing)}; it holds {', '.join(arrays) or 'nothing'}")
    train, test = (images_and_labels(arrays, part, path) for part in ("train", "test"))
    if train.x.shape[1:] != test.x.shape[1:]:
        raise ValueError(f"{path}: training images have the shape {train.x.shape[1:]}, test images {test.x.shape[1:]}")
    labels = np.unique(train.y)
    strange = np.setdiff1d(test.y, labels)
    if strange.size:
        raise ValueError(f"{path}: y_test holds labels that y_train does not: {', '.join(map(str, strange[:10]))}")
    names = tuple(map(str, np.ravel(arrays.get("class_names", labels))))
    check_classes(labels, path)
    if len(names) != len(labels):
        raise ValueError(f"{path}: {len(names)} class_names for {len(labels)} labels")
    train, test = (part._replace(y=np.searchsorted(labels, part.y).astype(np.int32)) for part in (train, test))
    train, validation = hold_out(train)
    low, high = value_range(train.x)
    if low == high:
        raise ValueError(f"{path}: all pixels of the training images are {low:g}, which leaves nothing to learn")
    return Dataset(path.stem, names, train, validation, test, (low, high))


def images_and_labels(arrays, part, path):
    x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
    x = x[..., None] if x.ndim == 3 else x
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    check_images(x, y, f"{path}, {part}")
    return Part(x, y)


def value_range(x):
    if x.dtype == np.uint8:
        return 0, 255
    low, high = float(x.min()), float(x.max())
    return (0, 1) if low >= 0 and high <= 1 else (low, high)
