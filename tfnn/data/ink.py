"""Turns photographs of handwriting, dark ink on light paper, into light ink that fills a dark frame."""

import tensorflow as tf

from tfnn.data.pixels import with_channels

SHADOW = 0.35  # share of the darkest ink; anything lighter counts as paper in a shadow
FINE = 28  # specks vanish when the picture is averaged over about this many squares a side


def light_ink(image):
    """Turns one image, float32 (H, W, 1 or 3), 0 to 255, into light ink on a dark ground; colours become grey.

    An image whose border is dark is left as it is. A border lighter than the middle of the image's own range counts as
    paper: the image is then inverted against the paper, stretched from shadow (0) to the darkest ink (255), and cut to a
    square around the ink.
    """
    if image.shape[-1] == 3:
        return with_channels(light_ink(with_channels(image, 1)), 3)
    border = tf.concat([image[0], image[-1], image[:, 0], image[:, -1]], 0)
    paper, middle = tf.reduce_mean(border), (tf.reduce_max(image) + tf.reduce_min(image)) / 2
    return tf.cond(paper > tf.maximum(middle, 64.0), lambda: crop_to_ink(stretch(paper - image)), lambda: image)


def stretch(ink):
    share = ink / tf.maximum(tf.reduce_max(smooth(ink)), 1.0)
    return 255 * tf.clip_by_value((share - SHADOW) / (1 - SHADOW), 0.0, 1.0)


def smooth(ink):
    """The mean of each pixel's neighbourhood; it removes sensor noise and specks."""
    side = tf.maximum(1, tf.reduce_min(tf.shape(ink)[:2]) // FINE)
    kernel = tf.ones([side, side, 1, 1]) / tf.cast(side * side, tf.float32)
    return tf.nn.conv2d(ink[None], kernel, 1, "SAME")[0]


def crop_to_ink(ink):
    """Cuts out the square around the ink; where it reaches beyond the image, it is padded with zeros."""
    marks = smooth(ink)[..., 0] > 127.5
    top, bottom = extent(tf.reduce_any(marks, 1))
    left, right = extent(tf.reduce_any(marks, 0))
    side = tf.maximum(bottom - top, right - left)
    above, before = (side - (bottom - top)) // 2, (side - (right - left)) // 2
    padding = [[above, side - (bottom - top) - above], [before, side - (right - left) - before], [0, 0]]
    return tf.pad(ink[top:bottom, left:right], padding)


def extent(marks):
    """(first, last + 1) of the true entries; the whole range if there are none."""
    places = tf.cast(tf.where(marks)[:, 0], tf.int32)
    size = tf.size(marks)
    some = tf.size(places) > 0
    return tf.cond(some, lambda: (tf.reduce_min(places), tf.reduce_max(places) + 1), lambda: (0, size))
