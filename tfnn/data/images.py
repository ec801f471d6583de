"""Encoded images in files, with labels, as a `Dataset`."""

import collections
import concurrent.futures
import hashlib
import warnings

import numpy as np
import tensorflow as tf

from tfnn.data.dataset import Dataset, Part
from tfnn.data.pixels import decode, resize, with_channels
from tfnn.data.split import stratified

SHARES = (0.7, 0.1, 0.2)  # train, validation, test, as for the digits
DEFAULT_SIZE = (64, 64)  # of images that differ in size: what a CPU trains on in minutes


def dataset(name, files, labels, class_names, image_size, seed, skip_bad_images):
    """Reads the files and splits them 70 / 10 / 20 by class; files of the same bytes fall into the same part.

    Raises:
        ValueError: for a file that cannot be decoded, unless it is skipped, and for a class of fewer than 3 images.
    """
    shapes, digests = zip(*in_parallel(shape_and_digest, files))
    report_bad([file for file, shape in zip(files, shapes) if shape is None], len(files), skip_bad_images)
    good = [index for index, shape in enumerate(shapes) if shape is not None]
    files, shapes, digests = ([column[index] for index in good] for column in (files, shapes, digests))
    labels = np.array(labels, np.int32)[good]
    counts = np.bincount(labels, minlength=len(class_names))
    if counts.min() < 3:
        few = ", ".join(f"{name}: {count} readable images" for name, count in zip(class_names, counts) if count < 3)
        raise ValueError(f"{few}; a class needs at least 3")
    report_contradictions(files, labels, digests, class_names)
    whole = Part(read(files, shapes, image_size), labels, tuple(map(str, files)))
    parts = split(labels, digests, seed)
    train, validation, test = (whole.select(np.flatnonzero(parts == part)) for part in range(3))
    return Dataset(name, tuple(class_names), train, validation, test, (0, 255))


def split(labels, digests, seed):
    """The part of each example: 0 train, 1 validation, 2 test. Copies follow the first of them."""
    _, first, original = np.unique(digests, return_index=True, return_inverse=True)
    order = np.sort(first)
    held = [round(share * len(order)) for share in SHARES[1:]]
    part = np.empty(len(labels), int)
    part[order] = stratified(labels[order], [len(order) - sum(held), *held], seed)
    return part[first[original]]


def in_parallel(function, items):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        yield from pool.map(function, items)


def shape_and_digest(file):
    """(shape or None where it cannot be decoded, SHA-256 of the bytes)."""
    try:
        encoded = file.read_bytes()
        return decode(encoded).shape, hashlib.sha256(encoded).hexdigest()
    except (tf.errors.InvalidArgumentError, OSError):
        return None, None


def report_bad(bad, count, skip_bad_images):
    if not bad:
        return
    names = f"{bad[0]}: not a readable image" if len(bad) == 1 else f"{named(bad)}: not readable images"
    if not skip_bad_images:
        raise ValueError(f"{names}; mend or remove {len(bad)} of {count} files, or pass skip_bad_images=True")
    warnings.warn(f"skipped {len(bad)} of {count} files: {names}", stacklevel=4)


def report_contradictions(files, labels, digests, class_names):
    """Warns of files of the same bytes in several classes."""
    same = collections.defaultdict(list)
    for index, digest in enumerate(digests):
        same[digest].append(index)
    for copies in same.values():
        if len({labels[index] for index in copies}) > 1:
            where = named([f"{files[index]} ({class_names[labels[index]]})" for index in copies])
            warnings.warn(f"the same image stands in several classes: {where}", stacklevel=4)


def named(items, most=5):
    """'a, b, c and 7 more'."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(map(str, items[:most])) + more


def read(files, shapes, size):
    """uint8 (N, H, W, C) of images of various sizes and channels. At full size there is one for each thread at a time."""
    sizes = {tuple(shape[:2]) for shape in shapes}
    height, width = size or (sizes.pop() if len(sizes) == 1 else DEFAULT_SIZE)
    channels = 1 if all(shape[-1] <= 2 for shape in shapes) else 3

    def fitted(file):
        image = resize(with_channels(decode(file.read_bytes()), channels), (height, width))
        return np.clip(np.round(image), 0, 255).astype(np.uint8)

    return np.stack(list(in_parallel(fitted, files)))
