"""The digits that ship with the package are scikit-learn's copy of the UCI set, and their split is fixed."""

import numpy as np
import pytest
import tensorflow as tf

from tfnn.data import make_digits


def test_file_equals_what_the_script_makes_from_scikit_learn():
    import importlib.resources

    with importlib.resources.files("tfnn.data").joinpath("digits.npz").open("rb") as file, np.load(file) as stored:
        made = make_digits.arrays()
        assert set(stored.files) == set(made)
        for name, array in made.items():
            np.testing.assert_array_equal(stored[name], array)
            assert stored[name].dtype == array.dtype


def test_parts_have_the_promised_sizes_and_every_class_in_proportion(digits):
    assert [len(part.y) for part in (digits.train, digits.validation, digits.test)] == [1257, 180, 360]
    whole = np.bincount(np.concatenate([digits.train.y, digits.validation.y, digits.test.y]))
    for part in digits.train, digits.validation, digits.test:
        assert np.abs(np.bincount(part.y) - whole * len(part.y) / 1797).max() <= 1


def test_object(digits):
    assert digits.name == "digits" and digits.class_names == tuple("0123456789")
    assert digits.image_shape == (8, 8, 1) and digits.value_range == (0, 16)
    assert digits.train.x.dtype == np.uint8 and digits.train.x.max() == 16
    assert digits.from_pixels(np.array([0, 255])).tolist() == [0, 16]


def enlarged(image, times):
    return np.repeat(np.repeat(image, times, 0), times, 1)


def test_a_digit_is_left_as_it_is(digits):
    for image in np.concatenate([digits.train.x, digits.test.x])[::10].astype(np.float32) * (255 / 16):
        np.testing.assert_array_equal(digits.prepare(image), image)
        np.testing.assert_array_equal(digits.prepare(enlarged(image, 3)), enlarged(image, 3))


@pytest.mark.parametrize("kind", ["even", "uneven light", "dim", "noise"])
def test_a_photograph_of_a_digit_is_brought_back(digits, kind):
    """Dark ink on paper, with margins: what comes back is the digit in its frame, seen by its correlation with it."""
    random = np.random.RandomState(0)
    for image in digits.test.x[:20].astype(np.float32):
        ink = np.zeros((100, 90, 1), np.float32)
        ink[10:74, 16:80] = enlarged(image / image.max(), 8)
        paper, depth = (80, 60) if kind == "dim" else (200, 150)
        picture = paper - depth * ink
        if kind == "uneven light":
            picture *= np.linspace(0.8, 1.15, 90)[None, :, None]
        if kind == "noise":
            picture += random.normal(0, 8, picture.shape)
        found = np.asarray(digits.prepare(np.clip(picture, 0, 255).astype(np.float32)))
        assert found.shape[0] == found.shape[1] <= 66 and found.min() == 0 and found.max() == 255
        rows, columns = (np.flatnonzero((image[..., 0] > 0.7 * image.max()).any(axis)) for axis in (1, 0))
        target = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        side = max(target.shape)
        pads = [((side - size) // 2, side - size - (side - size) // 2) for size in target.shape[:2]]
        target = np.pad(target, [*pads, (0, 0)])
        seen = np.asarray(tf.image.resize(found, target.shape[:2], antialias=True))
        assert np.corrcoef(seen.ravel(), target.ravel())[0, 1] > 0.6


def test_blank_paper_is_no_error(digits):
    for level in 0, 128, 255:
        assert np.isfinite(digits.prepare(np.full((9, 7, 1), level, np.float32))).all()
