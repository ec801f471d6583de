"""Data sets in the form that ImageNet's models take."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.cli.test_cli import blank


def test_grey_of_any_range_becomes_three_equal_channels_of_0_to_255(digits):
    data = tfnn.data.rgb(digits)
    assert data.image_shape == (8, 8, 3) and data.train.x.dtype == np.uint8 and data.value_range == (0, 255)
    for part, before in (data.train, digits.train), (data.validation, digits.validation), (data.test, digits.test):
        expected = np.round(before.x.astype(float) * 255 / 16)
        assert np.abs(part.x - expected).max() <= 1  # of what is half way
        assert np.array_equal(part.y, before.y)
    assert data.train.x.max() == 255 and data.prepare is digits.prepare


def test_another_size_is_reached_as_a_bundle_reaches_it(digits):
    data = tfnn.data.rgb(digits, (32, 24))
    assert data.test.x.shape == (360, 32, 24, 3)
    expected = tfnn.data.pixels.resize(digits.test.x[5:6] * (255 / 16), (32, 24))
    assert np.abs(data.test.x[5:6].astype(float) - expected).max() <= 0.501


def test_what_has_the_form_already_is_not_copied(digits):
    data = tfnn.data.rgb(digits, (8, 8))
    assert tfnn.data.rgb(data, (8, 8)) is data


def test_alpha_is_laid_over_white(digits):
    clear = np.zeros((3, 4, 4, 4), np.uint8)
    part = tfnn.data.dataset.Part(clear, np.arange(3))
    data = dataclasses.replace(digits, train=part, validation=part, test=part, value_range=(0, 255))
    assert (tfnn.data.rgb(data).train.x == 255).all()


def test_images_of_other_channels_are_refused(tmp_path):
    arrays = dict(x_train=np.random.rand(9, 4, 4, 5), x_test=np.zeros((4, 4, 4, 5)))
    with pytest.raises(ValueError, match="images have 5 channels"):
        tfnn.data.rgb(tfnn.data.load(blank(tmp_path, **arrays)))


def test_images_in_files_stay_there(tmp_path, digits):
    for label in "ab":
        (tmp_path / label).mkdir()
        for index in range(5):
            image = digits.train.x[10 * index + ord(label)] * 15
            (tmp_path / label / f"{index}.png").write_bytes(tf.io.encode_png(image).numpy())
    files, arrays = (tfnn.data.rgb(tfnn.data.folder(tmp_path, stream=stream)) for stream in (True, False))
    assert isinstance(files.train.x, tfnn.data.ImageFiles) and files.image_shape == (8, 8, 3)
    np.testing.assert_array_equal(files.train.x, arrays.train.x)
