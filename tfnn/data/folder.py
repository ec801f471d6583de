"""A folder of images, a sub-folder for each class."""

import os
import pathlib
import warnings
from collections.abc import Sequence

from tfnn.data.checks import check_classes, check_labels
from tfnn.data.dataset import Dataset
from tfnn.data.images import dataset, named
from tfnn.data.pixels import SUFFIXES, UNREAD

PARTS = {"train", "training", "val", "valid", "validation", "test"}


def folder(
    path: str | os.PathLike,
    image_size: Sequence[int] | None = None,
    seed: int = 0,
    skip_bad_images: bool = False,
    class_names: Sequence[str] | None = None,
    stream: bool = False,
) -> Dataset:
    """Images in sub-folders that bear the names of their classes, split 70 / 10 / 20 by class.

    Files of the same bytes fall into the same part, so that nothing is tested on what was trained on; where they stand
    in several classes, a warning names them.

    Args:
        path: the folder. Files are PNG, JPEG, GIF (first frame), BMP or WebP; names that begin with a dot are passed over, and
            images of other formats with a warning.
        image_size: (height, width) that images are brought to. None keeps their size where all agree, else (64, 64).
            They are grey where all files are, else RGB; alpha is laid over white; JPEGs stand as their Exif data tell.
        seed: of the split.
        skip_bad_images: whether to warn of unreadable files and go on without them.
        class_names: the classes in the order of their labels; None takes the sub-folders in that of the alphabet.
        stream: whether the images stay in their files, and are decoded in parallel when they are asked for, as a set larger
            than the memory needs: the x of the parts are then `ImageFiles`, which `tfnn.fit` takes as it does arrays, and
            `tfnn.data.stream` gives to `model.fit`. A number: only where their pixels are more bytes than that.

    Raises:
        FileNotFoundError: where there is no such folder.
        ValueError: for a folder without images, with one class, with a class of fewer than 3 different images, with classes
            that differ in case only or are none of `class_names`, of parts (train, test) instead of classes, or with files
            that cannot be decoded, which are named.
    """
    path = pathlib.Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such folder")
    found = sorted(child.name for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
    if found and set(found) <= PARTS:
        raise ValueError(f"{path}: {', '.join(found)} are parts, not classes; give the folder that holds the class sub-folders")
    names = list(found if class_names is None else class_names)
    files = {name: image_files(path / name) for name in found}
    report_unread([file for name in found for file in image_files(path / name, UNREAD)], path)
    if not any(files.values()):
        raise ValueError(f"{path}: no images ({', '.join(SUFFIXES)}) in sub-folders, one for each class")
    check_classes(names, path)
    check_labels(found, names, path)
    labelled = [(file, label) for label, name in enumerate(names) for file in files.get(name, ())]
    paths, labels = zip(*labelled)
    try:
        return dataset(path.resolve().name, paths, labels, names, image_size, seed, skip_bad_images, stream)
    except ValueError as error:
        raise ValueError(str(error) if str(error).startswith(str(path)) else f"{path}: {error}") from None


def image_files(folder, suffixes=SUFFIXES):
    """Those below a folder, sorted; what lies in a folder whose name begins with a dot, as of Jupyter, is passed over, too."""
    hidden = lambda file: any(part.startswith(".") for part in file.relative_to(folder).parts)
    return sorted(f for f in folder.rglob("*") if f.suffix.lower() in suffixes and not hidden(f) and not f.is_dir())


def report_unread(files, path):
    """Warns of images of formats that are passed over, in one line."""
    if files:
        kinds = ", ".join(sorted({file.suffix.lower() for file in files}))
        names = named([file.relative_to(path) for file in files])
        images = "1 image" if len(files) == 1 else f"{len(files)} images"
        what = f"passed over {images} of formats that are not read ({kinds}): {names}"
        warnings.warn(f"{path}: {what}; convert them to PNG or JPEG", stacklevel=3)
