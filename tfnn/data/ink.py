"""Photographs of handwriting: dark ink on light paper, to light ink on a dark ground that fills the frame."""

import tensorflow as tf


def light_ink(image):
    """One image, float32 (H, W, 1) of 0 to 255, to light ink on a dark ground.

    An image whose border is dark already is left as it is. Where the border is lighter than mid-grey it is taken for
    paper: the image is inverted against the paper's brightness, stretched so that the darkest ink is 255, and cut to a
    square around the ink.
    """
    border = tf.concat([image[0], image[-1], image[:, 0], image[:, -1]], 0)
    paper = tf.reduce_mean(border)
    return tf.cond(paper > 127.5, lambda: crop_to_ink(stretch(paper - image)), lambda: image)


def stretch(ink):
    ink = tf.maximum(ink, 0.0)
    return 255 * ink / tf.maximum(tf.reduce_max(ink), 1.0)


def crop_to_ink(ink, threshold=96.0):
    """The square around all pixels above `threshold`, padded with ground where it reaches out of the image."""
    marks = ink[..., 0] > threshold
    top, bottom = extent(tf.reduce_any(marks, 1))
    left, right = extent(tf.reduce_any(marks, 0))
    side = tf.maximum(bottom - top, right - left)
    above, before = (side - (bottom - top)) // 2, (side - (right - left)) // 2
    padding = [[above, side - (bottom - top) - above], [before, side - (right - left) - before], [0, 0]]
    return tf.pad(ink[top:bottom, left:right], padding)


def extent(marks):
    """(first, last + 1) of the true entries; the whole where there is none."""
    places = tf.cast(tf.where(marks)[:, 0], tf.int32)
    size = tf.size(marks)
    some = tf.size(places) > 0
    return tf.cond(some, lambda: (tf.reduce_min(places), tf.reduce_max(places) + 1), lambda: (0, size))
