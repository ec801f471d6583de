"""A folder of images, a sub-folder for each class."""

import concurrent.futures
import pathlib

import numpy as np
import tensorflow as tf

from tfnn.data.checks import check_classes
from tfnn.data.dataset import Dataset, Part
from tfnn.data.pixels import SUFFIXES, decode, resize, with_channels
from tfnn.data.split import stratified

SHARES = (0.7, 0.1, 0.2)  # train, validation, test, as for the digits
DEFAULT_SIZE = (64, 64)  # of images that differ in size


def folder(path, image_size=None, seed=0, skip_bad_images=False):
    """Images in sub-folders that bear the names of their classes, split 70 / 10 / 20 by class.

    Args:
        path: the folder. Files are PNG, JPEG, GIF (first frame) or BMP; names that begin with a dot are passed over.
        image_size: (height, width) that images are brought to. None keeps their size where all agree, else (64, 64).
            They are grey where all files are, else RGB; alpha is laid over white.
        seed: of the split.
        skip_bad_images: whether to warn of an unreadable file and go on without it.

    Raises:
        FileNotFoundError: where there is no such folder.
        ValueError: for a folder without images, with one class, with a class of fewer than 3 images, or with a file
            that cannot be decoded, which is named.
    """
    path = pathlib.Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such folder")
    names = sorted(child.name for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
    files = {name: image_files(path / name) for name in names}
    if not any(files.values()):
        raise ValueError(f"{path}: no images ({', '.join(SUFFIXES)}) in sub-folders, one for each class")
    check_classes(names, path)
    images, labels, kept = [], [], []
    for label, name in enumerate(names):
        for file, image in read(files[name], skip_bad_images):
            images.append(image)
            labels.append(label)
            kept.append(str(file))
    labels = np.array(labels, np.int32)
    for label, count in enumerate(np.bincount(labels, minlength=len(names))):
        if count < 3:
            raise ValueError(f"{path / names[label]}: {count} readable images; a class needs at least 3")
    whole = Part(uniform(images, image_size), labels, tuple(kept))
    held = [round(share * len(labels)) for share in SHARES[1:]]
    parts = stratified(labels, [len(labels) - sum(held), *held], seed)
    train, validation, test = (whole.select(np.flatnonzero(parts == part)) for part in range(3))
    return Dataset(path.resolve().name, tuple(names), train, validation, test, (0, 255))


def image_files(folder):
    return sorted(f for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES and not f.name.startswith("."))


def read(files, skip_bad_images):
    """Yields (file, uint8 image) in the order of `files`, decoded in parallel."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for file, image in zip(files, pool.map(decode_or_none, files)):
            if image is not None:
                yield file, image
            elif skip_bad_images:
                print(f"skipped {file}: not a readable image")
            else:
                raise ValueError(f"{file}: not a readable image; mend or remove it, or pass --skip-bad-images")


def decode_or_none(file):
    try:
        return decode(file.read_bytes()).numpy()
    except (tf.errors.InvalidArgumentError, OSError):
        return None


def uniform(images, size):
    """uint8 (N, H, W, C) of images of various sizes and channels."""
    sizes = {image.shape[:2] for image in images}
    size = size or (sizes.pop() if len(sizes) == 1 else DEFAULT_SIZE)
    channels = 1 if all(image.shape[-1] <= 2 for image in images) else 3
    fitted = (resize(with_channels(image, channels), size) for image in images)
    return np.stack([np.clip(np.round(image), 0, 255).astype(np.uint8) for image in fitted])
