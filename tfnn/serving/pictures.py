"""Turns images of any size, or the bytes of image files, into a network's input."""

import tensorflow as tf

from tfnn.data import pixels

DECODERS = 8  # images of one request that are decoded in parallel


def fit_size(image, shape, prepare):
    """Turns one image, uint8 (H, W, 1 to 4), into float32 of `shape`, 0 to 255."""
    *size, channels = shape
    image = pixels.with_channels(image, channels)
    return tf.ensure_shape(pixels.resize(image if prepare is None else prepare(image), size), shape)


def fit_sizes(images, shape, prepare):
    """Turns images, uint8 (B, H, W, 1 to 4), into float32 (B, *shape), 0 to 255."""
    if prepare is None:
        *size, channels = shape
        return pixels.resize(pixels.with_channels(images, channels), size)
    spec = tf.TensorSpec(shape, tf.float32)
    return tf.map_fn(lambda image: fit_size(image, shape, prepare), images, fn_output_signature=spec)


def decode_each(encoded, shape, prepare):
    """Decodes images, string (B,), to float32 (B, *shape), 0 to 255, and bool (B,): whether an image could be decoded.

    Images that could not be decoded are zeros: a `tf.data.Dataset` drops them and gives the others, with their indices, as
    one batch, from which they are scattered. A blank image comes last, so that the batch is never empty.
    """
    size = tf.size(encoded, tf.int64)
    each = tf.data.Dataset.from_tensor_slices(encoded).enumerate()
    images = each.map(
        lambda place, one: (place, fit_size(pixels.decode(one), shape, prepare)),
        num_parallel_calls=DECODERS,
        deterministic=False,
    )
    blank = tf.data.Dataset.from_tensors((size, tf.zeros(shape)))
    options = tf.data.Options()
    options.autotune.enabled = False  # each call makes a new dataset, too short-lived to be tuned
    options.experimental_optimization.apply_default_optimizations = False
    whole = images.ignore_errors().concatenate(blank).batch(size + 1).with_options(options)
    places, decoded = whole.get_single_element()
    decoded = tf.scatter_nd(places[:, None], decoded, [size + 1, *shape])[:-1]
    ok = tf.scatter_nd(places[:, None], tf.ones_like(places), [size + 1])[:-1] > 0
    return tf.ensure_shape(decoded, [None, *shape]), ok


def blank_where_not(ok, outputs):
    """Writes zeros and empty names into the rows of images that could not be read."""

    def blank(output):
        rows = tf.reshape(ok, tf.concat([tf.shape(ok), tf.ones([tf.rank(output) - 1], tf.int32)], 0))
        return tf.where(rows, output, tf.zeros_like(output))

    return {name: blank(output) for name, output in outputs.items()}
