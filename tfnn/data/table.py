"""Images listed in a table."""

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
    """Loads images that a `.csv` file lists with their labels, and splits them 70 / 10 / 20 by class as `folder` does.

    Args:
        path: the file, in UTF-8. Its first line names the columns: `path` (of an image, absolute or relative to the
            file's folder) and `label` (any text); other columns are ignored. Commas, semicolons or tabs separate them.
        image_size, seed, skip_bad_images, stream: see `folder`.
        class_names: the classes in the order of their labels; None takes those found, numbers in numerical order, then
            texts in alphabetical order.

    Raises:
        FileNotFoundError: if there is no such file, or if images are missing, which are then named.
        ValueError: if the file lacks a column, has no rows or an empty cell, or has a label that is not in
            `class_names`; otherwise as for `folder`.

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
    """The most frequent of `,`, `;` and tab in the first line."""
    head = file.readline()
    file.seek(0)
    return max(",;\t", key=head.count)
