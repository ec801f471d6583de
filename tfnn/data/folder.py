"""A folder of images with a sub-folder for each class."""

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
    """Loads images from sub-folders named after their classes, and splits them 70 / 10 / 20, stratified by class.

    Files with the same bytes go to the same part, so that no image is tested on that was trained on. A warning names
    those that stand in several classes.

    Args:
        path: the folder. Files are PNG, JPEG, GIF (first frame), BMP or WebP. Names that begin with a dot are skipped;
            images of other formats are skipped with a warning.
        image_size: (height, width) that images are brought to. None keeps their size if all have the same, else takes
            (64, 64). The images are grey if all files are, else RGB; alpha is laid over white; JPEGs are turned upright
            by their Exif data.
        seed: of the split.
        skip_bad_images: whether to warn of unreadable files and go on without them.
        class_names: the classes in the order of their labels; None takes the sub-folders in alphabetical order.
        stream: whether the images stay in their files and are decoded in parallel when they are needed, for data larger
            than the memory. The x of the parts are then `ImageFiles`: `tfnn.fit` takes them like arrays, and
            `tfnn.data.stream` makes batches of them for `model.fit`. A number means: only if the pixels take more bytes.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if there are no images, fewer than 2 classes, or a class with fewer than 3 different images; if classes
            differ in case only or are missing from `class_names`; if the sub-folders are parts (train, test) instead of
            classes; or if files cannot be decoded, which are then named.

    Example:
        >>> data = tfnn.data.folder("photographs")
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
    """The images at any depth below a folder, sorted. Hidden files and folders, such as Jupyter's, are skipped."""
    hidden = lambda file: any(part.startswith(".") for part in file.relative_to(folder).parts)
    return sorted(f for f in folder.rglob("*") if f.suffix.lower() in suffixes and not hidden(f) and not f.is_dir())


def report_unread(files, path):
    """Warns, in one line, of images whose formats are not read."""
    if files:
        kinds = ", ".join(sorted({file.suffix.lower() for file in files}))
        names = named([file.relative_to(path) for file in files])
        images = "1 image" if len(files) == 1 else f"{len(files)} images"
        what = f"passed over {images} of formats that are not read ({kinds}): {names}"
        warnings.warn(f"{path}: {what}; convert them to PNG or JPEG", stacklevel=3)
