"""What TensorFlow's decoder passes over in a BMP: its compression, and the palette that its bytes are places in.

A file begins with "BM", has the size of its second header at byte 14, the bits of a pixel at 28, the kind of compression at
30, and the colours of its palette, 4 bytes each (blue, green, red, 0), behind the headers (Microsoft, BITMAPINFOHEADER).
"""

import tensorflow as tf

HEADERS = 14 + 40
RUN_LENGTHS = 1, 2  # RLE8, RLE4


def headers_of(encoded):
    """The bytes of both headers, int32 (54,); zeros where there are no more, and of what is no BMP."""
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
    """An image (H, W, 1) of places in the palette to its colours (H, W, 3), or (H, W, 1) where all of them are grey."""
    start = 14 + tf.reduce_sum(headers[14:18] * 256 ** tf.range(4))
    start = tf.clip_by_value(start, 0, tf.strings.length(encoded))  # of a damaged one
    palette = padded(tf.strings.substr(encoded, start, 1024), 1024)
    colours = tf.cast(tf.reshape(palette, [256, 4])[:, 2::-1], tf.uint8)
    image = tf.gather(colours, tf.cast(image[..., 0], tf.int32))
    return tf.cond(tf.reduce_all(image == image[..., :1]), lambda: image[..., :1], lambda: image)
