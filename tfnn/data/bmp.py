"""Two things in a BMP that TensorFlow's decoder ignores: compression, and the palette that the pixels' bytes index.

A file begins with "BM". The size of its second header stands at byte 14, the bits per pixel at 28, the kind of compression
at 30. The palette follows the headers, 4 bytes per colour: blue, green, red, 0 (Microsoft, BITMAPINFOHEADER).
"""

import tensorflow as tf

HEADERS = 14 + 40
RUN_LENGTHS = 1, 2  # RLE8, RLE4


def headers_of(encoded):
    """The bytes of both headers, int32 (54,): padded with zeros if the file is shorter, all zeros if it is not a BMP."""
    start = tf.strings.substr(encoded, 0, HEADERS)
    return padded(tf.where(tf.strings.substr(start, 0, 2) == "BM", start, ""), HEADERS)


def padded(text, length):
    values = tf.io.decode_raw(text, tf.uint8)
    return tf.cast(tf.concat([values, tf.zeros([length - tf.size(values)], tf.uint8)], 0), tf.int32)


def is_compressed(headers):
    return tf.reduce_any(headers[30] == RUN_LENGTHS)


def has_palette(headers):
    return headers[28] == 8


def coloured(image, encoded, headers):
    """Replaces the palette indices (H, W, 1) of an image by colours (H, W, 3), or by (H, W, 1) if all of them are grey."""
    start = 14 + tf.reduce_sum(headers[14:18] * 256 ** tf.range(4))
    start = tf.clip_by_value(start, 0, tf.strings.length(encoded))  # the size in a damaged file may be anything
    palette = padded(tf.strings.substr(encoded, start, 1024), 1024)
    colours = tf.cast(tf.reshape(palette, [256, 4])[:, 2::-1], tf.uint8)
    image = tf.gather(colours, tf.cast(image[..., 0], tf.int32))
    return tf.cond(tf.reduce_all(image == image[..., :1]), lambda: image[..., :1], lambda: image)
