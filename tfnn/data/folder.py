"""A folder of images, a sub-folder for each class."""

import concurrent.futures
import pathlib
import warnings

import numpy as np
import tensorflow as tf

from tfnn.data.checks import check_classes
from tfnn.data.dataset import Dataset, Part
from tfnn.data.pixels import SUFFIXES, decode, resize, with_channels
from tfnn.data.split import stratified

SHARES = (0.7, 0.1, 0.2)  # train, validation, test, as for the digits
DEFAULT_SIZE = (64, 64)  # of images that differ in size: what a CPU trains on in minutes
PARTS = {"train", "training", "val", "valid", "validation", "test"}


def folder(path, image_size=None, seed=0, skip_bad_images=False):
    """Images in sub-folders that bear the names of their classes, split 70 / 10 / 20 by class.

    Args:
        path: the folder. Files are PNG, JPEG, GIF (first frame) or BMP; names that begin with a dot are passed over.
        image_size: (height, width) that images are brought to. None keeps their size where all agree, else (64, 64).
            They are grey where all files are, else RGB; alpha is laid over white; EXIF orientation is not applied.
        seed: of the split.
        skip_bad_images: whether to warn of an unreadable file and go on without it.

    Raises:
        FileNotFoundError: where there is no such folder.
        ValueError: for a folder without images, with one class, with a class of fewer than 3 images, of parts (train,
            test) instead of classes, or with a file that cannot be decoded, which is named.
    """
    path = pathlib.Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such folder")
    names = sorted(child.name for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
    if names and set(names) <= PARTS:
        raise ValueError(f"{path}: {', '.join(names)} are parts, not classes; give the folder that holds the class sub-folders")
    found = [(file, label) for label, name in enumerate(names) for file in image_files(path / name)]
    if not found:
        raise ValueError(f"{path}: no images ({', '.join(SUFFIXES)}) in sub-folders, one for each class")
    check_classes(names, path)
    shapes = list(in_parallel(shape_or_none, [file for file, _ in found]))
    report_bad([file for (file, _), shape in zip(found, shapes) if shape is None], skip_bad_images)
    found = [entry for entry, shape in zip(found, shapes) if shape is not None]
    files, labels = [file for file, _ in found], np.array([label for _, label in found], np.int32)
    for label, count in enumerate(np.bincount(labels, minlength=len(names))):
        if count < 3:
            raise ValueError(f"{path / names[label]}: {count} readable images; a class needs at least 3")
    whole = Part(read(files, [shape for shape in shapes if shape is not None], image_size), labels, tuple(map(str, files)))
    held = [round(share * len(labels)) for share in SHARES[1:]]
    parts = stratified(labels, [len(labels) - sum(held), *held], seed)
    train, validation, test = (whole.select(np.flatnonzero(parts == part)) for part in range(3))
    return Dataset(path.resolve().name, tuple(names), train, validation, test, (0, 255))


def image_files(folder):
    return sorted(f for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES and not f.name.startswith("."))


def in_parallel(function, items):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        yield from pool.map(function, items)


def shape_or_none(file):
    try:
        return decode(file.read_bytes()).shape
    except (tf.errors.InvalidArgumentError, OSError):
        return None


def report_bad(files, skip_bad_images):
    for file in files:
        if not skip_bad_images:
            raise ValueError(f"{file}: not a readable image; mend it, remove it, or pass skip_bad_images=True")
        warnings.warn(f"skipped {file}: not a readable image", stacklevel=3)


def read(files, shapes, size):
    """uint8 (N, H, W, C) of images of various sizes and channels. At full size there is one for each thread at a time."""
    sizes = {tuple(shape[:2]) for shape in shapes}
    height, width = size or (sizes.pop() if len(sizes) == 1 else DEFAULT_SIZE)
    channels = 1 if all(shape[-1] <= 2 for shape in shapes) else 3

    def fitted(file):
        image = resize(with_channels(decode(file.read_bytes()), channels), (height, width))
        return np.clip(np.round(image), 0, 255).astype(np.uint8)

    return np.stack(list(in_parallel(fitted, files)))
