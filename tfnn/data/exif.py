"""Which way up a camera held a JPEG image (Exif 2.3, CIPA DC-008-2012, section 4.6.4), in TensorFlow operations."""

import tensorflow as tf

HEAD = 2**17  # bytes; the segment that tells it is among the first of a file, none of which is longer than 2**16
MARK = b"Exif\0\0"
TAG = 0x0112


def orientation(encoded):
    """The orientation tag of an encoded image, 1 to 8; 1, upright, where there is none, and for other formats than JPEG."""
    data = tf.cast(tf.io.decode_raw(tf.strings.substr(encoded, 0, HEAD), tf.uint8), tf.int32)
    size = tf.size(data)
    is_jpeg = tf.reduce_all(tf.concat([data, [0, 0]], 0)[:2] == [0xFF, 0xD8])
    windows = tf.maximum(size - len(MARK) + 1, 0)
    marked = tf.reduce_all(tf.stack([data[at : at + windows] == byte for at, byte in enumerate(MARK)]), 0)
    places = tf.where(marked)[:, 0]

    def tag():
        start = tf.cast(places[0], tf.int32) + len(MARK)  # all offsets count from here

        def unsigned(at, count):
            """Integers of `count` bytes each at the offsets `at`, in the order of bytes that the head tells."""
            little = tf.gather(data, start) == ord("I")
            steps = tf.range(count)
            values = tf.gather(data, tf.clip_by_value(start + at[:, None] + steps, 0, size - 1))
            return tf.reduce_sum(values * 256 ** tf.where(little, steps, count - 1 - steps), 1)

        directory = unsigned(tf.constant([4]), 4)
        entries = directory + 2 + 12 * tf.range(tf.clip_by_value(unsigned(directory, 2)[0], 0, 100))  # a damaged count
        found = tf.boolean_mask(entries, unsigned(entries, 2) == TAG)
        value = unsigned(tf.concat([found, [0]], 0) + 8, 2)[0]
        return tf.where((tf.size(found) > 0) & (value >= 1) & (value <= 8), value, 1)

    return tf.cond(is_jpeg & (tf.size(places) > 0) & (size > 16), tag, lambda: 1)


def upright(image, orientation):
    """Turns and mirrors an image (H, W, C) to the way its orientation tag asks for."""
    either = lambda *tags: tf.reduce_any(orientation == tf.constant(tags))
    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    image = tf.cond(either(2, 3, 6, 7), lambda: image[:, ::-1], lambda: image)
    return tf.cond(either(3, 4, 7, 8), lambda: image[::-1], lambda: image)
