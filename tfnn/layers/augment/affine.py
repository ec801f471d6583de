"""Matrices that tell where each pixel of a picture comes from.

A matrix (B, 3, 3) maps (x, y, 1) of an output pixel to (x, y, 1) of the source; x is the column, y the row, and the centre
of the first pixel is (0, 0). So the matrix of "first A, then B" is `product(A, B)`.
"""

import math

import tensorflow as tf


def affine(a, b, c, d, e, f):
    """The matrix (B, 3, 3) with the rows (a b c), (d e f), (0 0 1), made of tensors (B,) and numbers."""
    zero = tf.zeros_like(a + b + c + d + e + f)
    return tf.reshape(tf.stack([zero + entry for entry in (a, b, c, d, e, f, 0.0, 0.0, 1.0)], axis=-1), [-1, 3, 3])


def product(first, then):
    """The matrix of two transforms, one after the other."""
    # no tf.matmul: TPUs round its operands to bfloat16 and GPUs to TF32, which moves the far corner by whole pixels
    return tf.reduce_sum(first[:, :, :, None] * then[:, None, :, :], axis=2)


def translation(dx, dy):
    """The picture moves by dx pixels to the right and dy down."""
    return affine(1.0, 0.0, -dx, 0.0, 1.0, -dy)


def rotation(turns):
    """Turns about (0, 0), counter-clockwise as seen on the screen, where y points down; exact for quarters of a turn."""
    quarters = tf.round(4 * turns)
    rest = 2 * math.pi * (turns - quarters / 4)
    cos, sin = tf.cos(rest), tf.sin(rest)
    quadrant = tf.cast(quarters, tf.int32) % 4
    select = lambda *four: tf.where(quadrant < 2, *(tf.where(quadrant % 2 == 0, *pair) for pair in (four[:2], four[2:])))
    cos, sin = select(cos, -sin, -cos, sin), select(sin, cos, -sin, -cos)
    return affine(cos, -sin, 0.0, sin, cos, 0.0)


def scaling(x, y):
    """Scales about (0, 0): the output's width spans `x` times as much of the source, so above 1 things become smaller."""
    return affine(x, 0.0, 0.0, 0.0, y, 0.0)


def shear(x, y):
    """Shears about (0, 0): rows move by x pixels per row, columns by y pixels per column."""
    return affine(1.0, x, 0.0, y, 1.0, 0.0)


def about(matrix, x, y):
    """`matrix` with (x, y) as its fixed point."""
    x, y = tf.reshape(x, [-1]), tf.reshape(y, [-1])
    return product(product(translation(-x, -y), matrix), translation(x, y))


def about_centre(matrix, height, width):
    """`matrix` with the middle of an image as its fixed point."""
    return about(matrix, *((tf.cast(length, tf.float32) - 1) / 2 for length in (width, height)))


def inverse(matrix):
    """The matrix that tells where each source pixel goes."""
    (a, b, c), (d, e, f) = (tf.unstack(matrix[:, row], axis=-1) for row in (0, 1))
    det = a * e - b * d
    return affine(e / det, -b / det, (b * f - c * e) / det, -d / det, a / det, (c * d - a * f) / det)


def apply(matrix, points):
    """Maps `points` (B, N, 2) of (x, y)."""
    return tf.reduce_sum(matrix[:, None, :2, :2] * points[:, :, None, :], axis=-1) + matrix[:, None, :2, 2]
