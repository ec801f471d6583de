"""Augment: one resampling for all geometric members."""

import numpy as np
import tensorflow as tf

import tfnn
from tfnn.layers import Augment, RandomFlip, RandomRotation, RandomTranslation, RandomZoom


def four():
    return Augment(
        [RandomFlip("horizontal"), RandomTranslation(0.1, 0.1), RandomRotation(0.1), RandomZoom(0.2)], name="augment"
    )


def images(rows=4, dtype="float32"):
    return np.random.RandomState(0).uniform(0, 255, (rows, 16, 12, 3)).astype(dtype)


def test_an_image_gets_the_same_in_any_batch_of_a_scope():
    def run(rows):
        with tfnn.random.scope(1, 2, tf.constant(rows)):
            return np.asarray(augment(images()[rows], training=True))

    augment = four()
    whole = run([0, 1, 2, 3])
    np.testing.assert_array_equal(np.concatenate([run([0]), run([1, 2, 3])]), whole)
    assert np.abs(whole - images()).mean() > 10


def test_it_is_the_identity_at_test():
    np.testing.assert_array_equal(four()(images()), images())
