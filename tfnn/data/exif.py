"""Turns JPEG images upright by their Exif orientation (Exif 2.3, CIPA DC-008-2012, section 4.6.4), in TensorFlow operations."""

import tensorflow as tf

HEAD = 2**17  # bytes to search: the Exif segment is among the first of a file, and no segment is longer than 2**16
MARK = b"Exif\0\0"
TIFF = 8  # bytes of the TIFF header that follows the mark
TAG = 0x0112


def orientation(encoded):
    """The orientation tag of an encoded image, 1 to 8. It is 1, upright, if there is no tag or the image is not a JPEG."""
    none = lambda: 1

    def of_jpeg():
        pieces = tf.strings.split(tf.strings.substr(encoded, 0, HEAD), MARK, maxsplit=1)
        return tf.cond(tf.size(pieces) == 2, lambda: of_tiff(tf.io.decode_raw(pieces[1], tf.uint8)), none)

    def of_tiff(data):
        return tf.cond(tf.size(data) >= TIFF, lambda: tag(data), none)

    return tf.cond(tf.strings.substr(encoded, 0, 2) == b"\xff\xd8", of_jpeg, none)


def tag(data):
    """The orientation tag. `data` are the bytes after the mark, uint8 (N,); all offsets count from their start."""

    def unsigned(at, count):
        """The integers of `count` bytes each at the offsets `at`, in the byte order that the header names."""
        little, steps = data[0] == ord("I"), tf.range(count)
        values = tf.cast(tf.gather(data, tf.clip_by_value(at[:, None] + steps, 0, tf.size(data) - 1)), tf.int32)
        return tf.reduce_sum(values * 256 ** tf.where(little, steps, count - 1 - steps), 1)

    directory = unsigned(tf.constant([4]), 4)
    entries = directory + 2 + 12 * tf.range(tf.clip_by_value(unsigned(directory, 2)[0], 0, 100))  # it may be damaged
    found = tf.boolean_mask(entries, unsigned(entries, 2) == TAG)
    value = unsigned(tf.concat([found, [0]], 0) + 8, 2)[0]
    return tf.where((tf.size(found) > 0) & (value >= 1) & (value <= 8), value, 1)


def upright(image, orientation):
    """Turns and mirrors an image (H, W, C) as its orientation tag asks."""
    either = lambda *tags: tf.reduce_any(orientation == tf.constant(tags))
    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    image = tf.cond(either(2, 3, 6, 7), lambda: image[:, ::-1], lambda: image)
    return tf.cond(either(3, 4, 7, 8), lambda: image[::-1], lambda: image)
