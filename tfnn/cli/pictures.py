"""Images of a data set as PNG files that a person can look at."""

import numpy as np
import tensorflow as tf

from tfnn import files


def pixels(images, value_range):
    """Images as uint8 of 0 to 255, where `value_range` holds their black and white."""
    low, high = value_range
    return np.clip(np.round((images.astype(np.float64) - low) * (255 / (high - low))), 0, 255).astype(np.uint8)


def enlarged(images, side):
    """Images, uint8 (N, H, W, C), whose pixels are repeated as often as `side` allows for the longer of their sides.

    Images that are larger than that stay as they are.
    """
    zoom = max(1, side // max(images.shape[1:3]))
    return images.repeat(zoom, 1).repeat(zoom, 2)


def write_examples(data, folder, side=96):
    """Writes a test image of each class, at most ten, as PNG files for `tfnn predict`."""
    folder.mkdir(exist_ok=True)
    for label, name in enumerate(data.class_names[:10]):
        first = np.flatnonzero(data.test.y == label)[:1]
        for image in enlarged(pixels(data.test.x[first], data.value_range), side):
            write_png(folder / f"{name.replace('/', '-')}.png", image)


def write_png(path, picture):
    """Writes a picture, uint8 (H, W, C), whole or not at all."""
    files.write(path, tf.io.encode_png(picture).numpy())
