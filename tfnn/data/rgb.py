"""Converts any data set to the form that ImageNet models take."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfnn.data.dataset import Dataset
from tfnn.data.files import ImageFiles
from tfnn.data.pixels import resize, with_channels

ROWS = 256  # images that are converted at a time


def rgb(data: Dataset, image_size: Sequence[int] | None = None) -> Dataset:
    """Converts images to RGB, uint8, 0 to 255: the same conversion as in an exported bundle.

    Grey becomes three equal channels, alpha is laid over white, and images of another size are resized bilinearly. Images
    that stay in their files (see `folder`) still do.

    Args:
        data: a `Dataset`.
        image_size: (height, width); None keeps the size.

    Returns:
        A `Dataset` of the same examples; `data` itself if it has that form already.

    Raises:
        ValueError: if the images have more than 4 channels.

    Example:
        >>> data = tfnn.data.rgb(tfnn.data.digits(), (32, 32))
    """
    *own_size, channels = data.image_shape
    if channels > 4:
        raise ValueError(f"{data.name}: images have {channels} channels; wanted are 1 (grey) to 4 (RGB and alpha)")
    size = tuple(own_size if image_size is None else image_size)
    if data.train.x.dtype == np.uint8 and tuple(data.image_shape) == (*size, 3):
        return data
    parts = {name: converted(getattr(data, name), data.value_range, size) for name in ("train", "validation", "test")}
    return dataclasses.replace(data, value_range=(0, 255), **parts)


def converted(part, value_range, size):
    if isinstance(part.x, ImageFiles):
        return part._replace(x=ImageFiles(part.x.files, part.x.digests, (*size, 3)))
    low, high = value_range

    def of(images):
        pixels = with_channels((tf.cast(images, tf.float32) - low) * (255 / (high - low)), 3)
        pixels = pixels if pixels.shape[1:3] == size else resize(pixels, size)
        return tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8).numpy()

    starts = range(0, len(part.y), ROWS)
    return part._replace(x=np.concatenate([of(part.x[start : start + ROWS]) for start in starts]))
