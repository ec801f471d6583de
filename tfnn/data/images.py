"""Encoded images in files, with labels, as a `Dataset`."""

import collections
import concurrent.futures
import hashlib
import numbers
import warnings

import numpy as np
import tensorflow as tf

from tfnn.checks import whole
from tfnn.data.dataset import Dataset, Part
from tfnn.data.files import ImageFiles, threads
from tfnn.data.pixels import decode
from tfnn.data.split import stratified

SHARES = (0.7, 0.1, 0.2)  # train, validation, test, as for the digits
FEWEST = 6  # images of which no share rounds to 0
AT_A_TIME = 1024  # files handed to the threads at once
DEFAULT_SIZE = (64, 64)  # for images that differ in size; a CPU trains on such images within minutes


def dataset(name, files, labels, class_names, image_size, seed, skip_bad_images, stream):
    """Reads the files and splits them 70 / 10 / 20 by class; files with the same bytes go to the same part.

    Each file is read once, for its digest and to see that it can be decoded. Its pixels are then dropped; with `stream` (see
    `folder`) they are not read again until they are needed.

    Raises:
        ValueError: if a file cannot be decoded and is not skipped, or a class has fewer than 3 different images.
    """
    check_options(image_size, stream)
    shapes, digests = zip(*in_parallel(shape_and_digest, files))
    report_bad([file for file, shape in zip(files, shapes) if shape is None], len(files), skip_bad_images)
    good = [index for index, shape in enumerate(shapes) if shape is not None]
    files, shapes, digests = ([column[index] for index in good] for column in (files, shapes, digests))
    labels = np.array(labels, np.int32)[good]
    report_contradictions(files, labels, digests, class_names)
    check_counts(labels, digests, class_names)
    whole = of_files(files, digests, shapes, image_size)
    streamed = stream is True or (stream is not False and whole.nbytes > stream)
    whole, parts = Part(whole, labels, whole.files, whole.digests), split(labels, digests, seed)
    train, validation, test = (whole.select(np.flatnonzero(parts == part)) for part in range(3))
    if not streamed:
        train, validation, test = train.loaded(), validation.loaded(), test.loaded()
    return Dataset(name, tuple(class_names), train, validation, test, (0, 255))


def check_options(image_size, stream):
    number = isinstance(stream, numbers.Real)
    if not number or stream < 0:
        raise ValueError(f"stream={stream!r} must be True, False or a number of bytes")
    positive = lambda side: (whole(side) or 0) > 0
    if image_size is not None and not (np.iterable(image_size) and len(image_size) == 2 and all(map(positive, image_size))):
        raise ValueError(f"image_size={image_size!r} must be (height, width) in pixels, or None")


def check_counts(labels, digests, class_names):
    """Refuses classes too small to be split. Copies of an image count once, because they go to one part."""
    counts = np.bincount([label for label, _ in set(zip(labels, digests))], minlength=len(class_names))
    if counts.min() < 3:
        few = [f"{name}: {count} different images" for name, count in zip(class_names, counts) if count < 3]
        raise ValueError(f"{named(few)}; a class needs at least 3 that can be read, and copies count once")
    if (count := len(set(digests))) < FEWEST:
        raise ValueError(f"all classes together have {count} different images: give each class images that no other class has")


def split(labels, digests, seed):
    """The part of each example: 0 train, 1 validation, 2 test. Copies of an image go with the first of them."""
    _, first, original = np.unique(digests, return_index=True, return_inverse=True)
    order = np.sort(first)
    held = [round(share * len(order)) for share in SHARES[1:]]
    part = np.empty(len(labels), int)
    part[order] = stratified(labels[order], [len(order) - sum(held), *held], seed)
    return part[first[original]]


def in_parallel(function, items):
    """Yields `function(item)` of each item, in their order; threads compute them."""
    with concurrent.futures.ThreadPoolExecutor(threads()) as pool:
        for start in range(0, len(items), AT_A_TIME):
            yield from pool.map(function, items[start : start + AT_A_TIME])


def shape_and_digest(file):
    """(shape, SHA-256 of the bytes), or (None, None) if the file cannot be decoded."""
    try:
        encoded = file.read_bytes()
        return tuple(shape_of(encoded).numpy().tolist()), hashlib.sha256(encoded).hexdigest()
    except (tf.errors.InvalidArgumentError, OSError):
        return None, None


@tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
def shape_of(encoded):
    return tf.shape(decode(encoded))


def report_bad(bad, count, skip_bad_images):
    if not bad:
        return
    names = f"{bad[0]}: not a readable image" if len(bad) == 1 else f"{named(bad)}: not readable images"
    if not skip_bad_images:
        raise ValueError(f"{names}; mend or remove {len(bad)} of {count} files, or pass skip_bad_images=True")
    warnings.warn(f"skipped {len(bad)} of {count} files: {names}", stacklevel=4)


def report_contradictions(files, labels, digests, class_names):
    """Warns, in one line, of files with the same bytes in several classes."""
    same = collections.defaultdict(list)
    for index, digest in enumerate(digests):
        same[digest].append(index)
    found = [copies for copies in same.values() if len({labels[index] for index in copies}) > 1]
    if found:
        where = named([f"{files[index]} ({class_names[labels[index]]})" for copies in found for index in copies])
        what = "the same image stands" if len(found) == 1 else f"{len(found)} images stand"
        warnings.warn(f"{what} in several classes: {where}", stacklevel=4)


def named(items, most=5):
    """'a, b, c and 7 more'."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(map(str, items[:most])) + more


def of_files(files, digests, shapes, size):
    """`ImageFiles` that bring images of various sizes and channels to one shape."""
    sizes = {shape[:2] for shape in shapes}
    height, width = size or (sizes.pop() if len(sizes) == 1 else DEFAULT_SIZE)
    return ImageFiles(files, digests, (height, width, 1 if all(shape[-1] <= 2 for shape in shapes) else 3))
