"""What is read from the losses of a range test."""

import math
import sys

import numpy as np
import pytest

from tfnn.diagnose.learning_rate_curve import LearningRateCurve, first_diverged, smooth, steepest

RATES = np.geomspace(1e-4, 1.0, 41)  # ten to a decade
NAN, INF = math.nan, math.inf


def curve(losses, diverged=False):
    losses = np.asarray(losses, float)
    return LearningRateCurve(RATES[: len(losses)], losses, losses, diverged)


def valley(place=-2.0, width=0.5, lowest=1.0):
    """A loss that falls as a logistic function of log10 η, steepest at `place`, and rises far beyond."""
    position = np.log10(RATES)
    return 2 - (2 - lowest) / (1 + np.exp(-(position - place) / (width / 4))) + np.exp(8 * (position + 0.6))


def test_the_average_is_that_of_the_formula():
    losses, beta = np.random.RandomState(0).uniform(1, 2, 20), 0.9
    wanted = [
        sum((1 - beta) * beta ** (i - j) * losses[j] for j in range(i + 1)) / (1 - beta ** (i + 1)) for i in range(len(losses))
    ]
    np.testing.assert_allclose(smooth(losses, beta), wanted, rtol=1e-12)
    np.testing.assert_allclose(smooth([3.0] * 9, 0.98), [3.0] * 9)
    np.testing.assert_array_equal(smooth(losses, 0), losses)


@pytest.mark.parametrize(
    "smoothed, index",
    [
        ([2, 1, 3.9, 4.0, 3], None),
        ([2, 1, 3.9, 4.1, 3], 3),
        ([2, 1, NAN, 1], 2),
        ([2, 1, INF, 1], 2),
        ([NAN, 1], 0),
        ([-1, -2, 3.9, -1], None),  # a loss below 0 diverges by as much
        ([-1, -2, 4.1, -1], 2),
        ([], None),
    ],
)
def test_where_it_diverges(smoothed, index):
    assert first_diverged(np.array(smoothed, float), 4.0) == index


@pytest.mark.parametrize("place", [-2.5, -2.0, -1.5])
def test_the_suggestion_is_where_the_loss_falls_fastest(place):
    found = curve(valley(place))
    assert found.suggestion == pytest.approx(10**place, rel=0.13)  # half a step of the sweep
    assert found.suggestion < found.at_minimum < 1


def test_what_rises_beyond_the_minimum_and_noise_at_the_start_do_not_count():
    losses = valley()
    losses[:3] = 9, 2, 2
    losses[-1] = 0.9 * losses[-2]
    assert curve(losses).suggestion == pytest.approx(1e-2, rel=0.13)


@pytest.mark.parametrize("losses", [[1, 2, 3, 4], [1] * 30, np.linspace(1, 2, 41), [2.0]])
def test_a_loss_that_does_not_fall_gives_no_suggestion(losses):
    assert curve(losses).suggestion is None and "no suggestion" in repr(curve(losses))
    assert curve([2, 1]).suggestion == RATES[0]


def test_its_text_tells_the_key_numbers():
    text = repr(curve(valley(), diverged=True))
    assert text.splitlines() == [
        "41 updates, learning rate 0.0001 to 1; diverged at 1",
        "smoothed loss 2 at the start, lowest 1.007 at 0.05",
        "suggestion 0.01, the steepest descent; minimum / 10: 0.005",
    ]
    assert repr(curve(valley())).splitlines()[0].endswith("; did not diverge")
    assert "the loss still falls there: a larger max_learning_rate shows more" in repr(curve(valley()[:25]))


def test_its_picture_shows_both_curves_and_both_rates(tmp_path):
    found = curve(valley())
    figure = found.plot(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes()[:4] == b"\x89PNG"
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[1].get_xydata(), np.stack([RATES, found.smoothed], 1))
    assert [line.get_xdata()[0] for line in axes.lines[2:]] == [found.suggestion, found.at_minimum / 10]
    assert axes.get_xscale() == "log"
    low, high = axes.get_ylim()
    assert low < found.smoothed.min() and found.losses[0] < high < found.losses[-1]
    with pytest.raises(ValueError, match="curve.txt: a plot can be written as"):
        found.plot(tmp_path / "curve.txt")


def test_without_matplotlib_it_says_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "tfnn\[diagnose\]"'):
        curve(valley()).plot()


def test_the_slope_is_against_the_logarithm_of_the_rate():
    """The same fall of the loss over a tenth as much of η is ten times as steep against η, and as steep against log η."""
    losses = 3 - np.clip(np.log10(RATES / 1e-3), 0, 1) - 1.5 * np.clip(np.log10(RATES / 1e-1), 0, 1)
    assert 1e-1 <= RATES[steepest(RATES, losses)] <= 1
