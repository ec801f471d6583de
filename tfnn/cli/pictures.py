"""Images of a data set as PNG files that a person can look at."""

import numpy as np
import tensorflow as tf


def pixels(images, value_range):
    """Images whose black and white are `value_range`, as uint8 of 0 to 255."""
    low, high = value_range
    return np.clip(np.round((images.astype(np.float64) - low) * (255 / (high - low))), 0, 255).astype(np.uint8)


def enlarged(images, side):
    """uint8 (N, H, W, C), each pixel a square of so many that the longer side is at most `side`; large ones stay."""
    zoom = max(1, side // max(images.shape[1:3]))
    return images.repeat(zoom, 1).repeat(zoom, 2)


def write_examples(data, folder, side=96):
    """A test image of each class, at most ten, as PNG for `tfnn predict`."""
    folder.mkdir(exist_ok=True)
    for label, name in enumerate(data.class_names[:10]):
        first = np.flatnonzero(data.test.y == label)[:1]
        for image in enlarged(pixels(data.test.x[first], data.value_range), side):
            write(folder / f"{name.replace('/', '-')}.png", tf.io.encode_png(image).numpy())


def write(path, encoded):
    """Whole or not at all."""
    hidden = path.with_name(f".{path.name}")
    try:
        hidden.write_bytes(encoded)
        hidden.replace(path)
    except OSError as error:
        hidden.unlink(missing_ok=True)
        raise OSError(f"{path}: cannot be written: {error.strerror}") from None
