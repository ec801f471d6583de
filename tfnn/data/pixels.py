"""Decodes images to arrays in TensorFlow operations. Loaders and exported models share them."""

import tensorflow as tf

from tfnn.data import bmp
from tfnn.data.exif import orientation, upright

FORMATS = "PNG, JPEG, GIF, BMP or WebP"
SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".gif", ".bmp", ".webp")
UNREAD = (  # images that TensorFlow does not decode: from phones and scanners, drawings, and raw files of cameras
    *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".tif", ".tiff", ".tga", ".psd", ".svg", ".ppm", ".pgm"),
    *(".dng", ".arw", ".cr2", ".cr3", ".nef", ".orf", ".raf", ".rw2"),
)


def decode(encoded):
    """Decodes PNG, JPEG, GIF (first frame), BMP or WebP to uint8 (H, W, 1 to 4). JPEGs are turned upright by their Exif data.

    Raises:
        tf.errors.InvalidArgumentError: for other bytes; for WebP animations, on which TensorFlow 2.21 writes past the end of
            their memory; and for compressed BMPs, whose compressed bytes TensorFlow would take for pixels.
    """
    headers = bmp.headers_of(encoded)
    encoded = tf.where(is_webp_animation(encoded) | bmp.is_compressed(headers), "", encoded)
    image = upright(tf.io.decode_image(encoded, expand_animations=False), orientation(encoded))
    image = tf.cond(bmp.has_palette(headers), lambda: bmp.coloured(image, encoded, headers), lambda: image)
    return tf.ensure_shape(image, [None, None, None])


def is_webp_animation(encoded):
    head = tf.concat([tf.io.decode_raw(tf.strings.substr(encoded, 0, 21), tf.uint8), tf.zeros(21, tf.uint8)], 0)
    extended = tf.reduce_all(head[8:16] == tf.io.decode_raw(b"WEBPVP8X", tf.uint8))
    return extended & (tf.bitwise.bitwise_and(head[20], tf.constant(2, tf.uint8)) > 0)  # the flags of the extended header


def with_channels(image, channels):
    """Converts an image of 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha) channels to 1 or 3.

    Alpha is laid over white paper. Colour becomes grey by the luma weights 0.299, 0.587, 0.114 of ITU-R BT.601.

    Args:
        image: uint8 or float (..., C) with values of 0 to 255.
        channels: 1 or 3.

    Returns:
        float32 (..., channels), 0 to 255.
    """
    image = tf.cast(image, tf.float32)
    given = tf.shape(image)[-1]
    colours = 2 * ((given - 1) // 2) + 1  # 1, 1, 3, 3 of 1, 2, 3, 4 channels
    alpha = tf.cond(given > colours, lambda: image[..., -1:] / 255, lambda: tf.ones_like(image[..., :1]))
    image = image[..., :colours] * alpha + 255 * (1 - alpha)
    if channels == 3:
        return tf.ensure_shape(tf.broadcast_to(image, tf.concat([tf.shape(image)[:-1], [3]], 0)), [*image.shape[:-1], 3])
    luma = tf.constant([0.299, 0.587, 0.114])
    grey = tf.cond(colours == 3, lambda: tf.reduce_sum(image * luma, -1, keepdims=True), lambda: image)
    return tf.ensure_shape(grey, [*image.shape[:-1], 1])


def resize(images, size):
    """Resizes bilinearly to float32 (..., height, width, C). Antialiasing makes shrinking average pixels, not skip them."""
    return tf.image.resize(images, size, antialias=True)
