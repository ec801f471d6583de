"""The digits that ship with the package are scikit-learn's copy of the UCI set, and their split is fixed."""

import numpy as np

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


def test_a_digit_is_left_as_it_is_and_its_photograph_is_brought_back(digits):
    """Dark ink on grey paper, with a margin: the inverse of a digit comes back as the digit."""
    for image in digits.test.x[:20].astype(np.float32) * (255 / 16):
        np.testing.assert_array_equal(digits.prepare(image), image)
        paper = np.full((30, 40, 1), 200, np.float32)
        paper[5:21, 9:25] = 200 - np.repeat(np.repeat(image, 2, 0), 2, 1) * 0.7
        found = np.asarray(digits.prepare(paper))
        assert found.shape[0] == found.shape[1] <= 16
        assert found.max() == 255 and found.min() == 0
        rows, columns = np.nonzero(np.repeat(np.repeat(image[..., 0], 2, 0), 2, 1) * 255 / image.max() > 96)
        side = max(np.ptp(rows), np.ptp(columns)) + 1
        assert found.shape == (side, side, 1)


def test_blank_paper_is_no_error(digits):
    assert np.asarray(digits.prepare(np.full((9, 7, 1), 255, np.float32))).shape == (9, 9, 1)
