"""Images that a table lists."""

import csv
import os
import pathlib
from collections.abc import Sequence

from tfnn.data.checks import check_classes, check_labels
from tfnn.data.dataset import Dataset
from tfnn.data.images import dataset, named


def table(
    path: str | os.PathLike,
    image_size: Sequence[int] | None = None,
    seed: int = 0,
    skip_bad_images: bool = False,
    class_names: Sequence[str] | None = None,
    stream: bool = False,
) -> Dataset:
    """Images that a `.csv` file lists with their labels, split 70 / 10 / 20 by class as `folder` does.

    Args:
        path: the file, in UTF-8, with a first line that names its columns: `path` (of an image, from the file's own folder
            on, or from the root) and `label` (any text); others are passed over. Commas, semicolons or tabs part them.
        image_size, seed, skip_bad_images, stream: see `folder`.
        class_names: the classes in the order of their labels; None takes those found, numbers by size, else by the alphabet.

    Raises:
        FileNotFoundError: where there is no such file, or where images are missing, which are named.
        ValueError: for a file without these columns or rows, with an empty cell, or with labels that are none of
            `class_names`; and as `folder` does.

    Example:
        >>> data = tfnn.data.table("photographs.csv", image_size=(96, 96), class_names=["cat", "dog"])
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            comma = delimiter(file)
            reader = csv.DictReader(filter(str.strip, file), skipinitialspace=True, delimiter=comma)
            columns = reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
            rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: not a readable .csv file ({error})") from None
    if not {"path", "label"} <= set(columns):
        raise ValueError(f"{path}: its first line must name the columns path and label, it names {named(columns) or 'none'}")
    if not rows:
        raise ValueError(f"{path}: no rows below its first line")
    for number, row in enumerate(rows, 1):
        for column in "path", "label":
            row[column] = (row[column] or "").strip()
            if not row[column]:
                raise ValueError(f"{path}: row {number} lacks a {column}")
    files, labels = [path.parent / row["path"] for row in rows], [row["label"] for row in rows]
    missing = [file for file in files if not os.path.isfile(file)]  # pathlib raises for names that are too long
    if missing:
        raise FileNotFoundError(f"{path}: {len(missing)} of {len(files)} files are missing: {named(missing)}")
    found = sorted(set(labels), key=lambda label: (0, int(label), label) if label.isdecimal() else (1, 0, label))
    names = found if class_names is None else list(map(str, class_names))
    check_classes(names, path)
    check_labels(found, names, path)
    index = {name: label for label, name in enumerate(names)}
    try:
        labels = [index[label] for label in labels]
        return dataset(path.stem, files, labels, names, image_size, seed, skip_bad_images, stream)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def delimiter(file):
    """What parts the columns of a table: of a comma, a semicolon and a tab that which the first line holds most of."""
    head = file.readline()
    file.seek(0)
    return max(",;\t", key=head.count)
