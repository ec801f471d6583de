"""Precision and recall of each class."""

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

from tfnn.diagnose.by_class import by_class, table

MATRIX = np.array([[5, 2, 0, 0], [1, 8, 0, 1], [0, 3, 0, 0], [0, 0, 0, 0]])
NAMES = "cat", "dog", "owl", "newt"


def test_precision_and_recall_are_those_of_scikit_learn():
    rows = by_class(MATRIX, NAMES)
    pairs = [(true, taken) for true, taken in np.ndindex(MATRIX.shape) for _ in range(MATRIX[true, taken])]
    precision, recall, _, images = precision_recall_fscore_support(*zip(*pairs), labels=range(4), zero_division=np.nan)
    for name, *expected in zip(NAMES, images, precision, recall):
        found = [np.nan if value is None else value for value in rows[name].values()]
        np.testing.assert_allclose(found, expected, atol=1e-6, err_msg=name)


def test_the_table_begins_with_the_class_that_is_found_least():
    lines = table(by_class(MATRIX, NAMES)).splitlines()
    assert lines[0] == "class  images  precision  recall"
    assert [line.split() for line in lines[1:]] == [
        ["owl", "3", "-", "0%"],
        ["cat", "7", "83%", "71%"],
        ["dog", "10", "62%", "80%"],
        ["newt", "0", "0%", "-"],
    ]
