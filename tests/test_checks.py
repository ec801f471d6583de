"""Each checker of numbers: what it takes, what it gives, and what it says of the rest."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfnn.checks import fraction, int32, integer, number, plain, positive, positive_integer, whole


@pytest.mark.parametrize("value", [5, np.int64(5), np.uint8(5), np.array(5), tf.constant(5)])
def test_an_integer_is_given_as_an_int(value):
    for check in integer, positive_integer, int32:
        assert check("n", value) == 5 and type(check("n", value)) is int


@pytest.mark.parametrize("value", [5.0, np.float32(5), np.array([5]), keras.Variable(5.0)])
def test_a_float_that_is_whole_is_an_int32_and_no_integer(value):
    assert int32("n", value) == 5 and type(int32("n", value)) is int
    if not isinstance(value, np.ndarray):
        assert whole(value) is None


@pytest.mark.parametrize("value", [True, False, None, "5", 5.5, math.nan, math.inf, [5], np.array([5, 6]), {}])
def test_what_is_no_integer_is_refused_in_one_line(value):
    for check in integer, positive_integer, int32:
        with pytest.raises(ValueError) as error:
            check("n", value)
        assert str(error.value).startswith(f"n={value!r} must be a") and "\n" not in str(error.value)


@pytest.mark.parametrize("check, low, high", [(lambda n: integer("n", n, 2, 7), 2, 6), (lambda n: int32("n", n), 0, 2**31 - 1)])
def test_the_bounds_of_integers(check, low, high):
    assert (check(low), check(high)) == (low, high)
    for outside in low - 1, high + 1:
        with pytest.raises(ValueError, match=f"n={outside} must be an integer of at least {low} and below"):
            check(outside)


NUMBERS = [  # function, the least and the greatest that it takes, what it does not take, its words
    (lambda x: number("x", x), 0, 1e300, [-1e-9, math.inf], "at least 0 and finite"),
    (lambda x: number("x", x, 0, 1), 0, 1 - 1e-9, [-1e-9, 1], r"in \[0, 1\)"),
    (lambda x: positive("x", x), 1e-300, 1e300, [0, math.inf], "positive and finite"),
    (lambda x: fraction("x", x), 0, 1, [-1e-9, 1 + 1e-9], r"in \[0, 1\]"),
]


@pytest.mark.parametrize("check, least, greatest, outside, words", NUMBERS)
def test_the_bounds_of_numbers(check, least, greatest, outside, words):
    assert (check(least), check(greatest)) == (least, greatest)
    for value in *outside, math.nan, None, "0.5", [0.5], np.array([0.5, 0.5]):
        with pytest.raises(ValueError, match=f"^x=.* must be {words}$"):
            check(value)


def test_words_take_the_place_of_a_name_and_of_a_range():
    with pytest.raises(ValueError, match="^the batch size of epoch 3 must be a positive integer, got 0$"):
        positive_integer("the batch size of epoch 3", 0)
    with pytest.raises(ValueError, match="^k=0 must be None or more$"):
        integer("k", 0, 1, wanted="None or more")


def test_plain_leaves_what_is_no_single_number():
    assert plain(tf.constant(2.5)) == 2.5 and plain("a") == "a" and plain(None) is None
    assert plain(np.array([4.0, 8.0])).tolist() == [4, 8]
