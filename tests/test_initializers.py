"""Variances within five standard errors of what the paper asks for."""

import numpy as np
import pytest

from tfnn.initializers import HeNormal


@pytest.mark.parametrize(
    "shape, fan_in", [((200, 300), 200), ((5, 40, 200), 200), ((3, 3, 20, 300), 180), ((3, 3, 3, 10, 200), 270)]
)
def test_he_normal_has_variance_2_over_n_in(shape, fan_in):
    w = np.asarray(HeNormal(seed=1)(shape), np.float64).ravel()
    kurtosis = (w**4).mean() / (w**2).mean() ** 2
    standard_error = np.sqrt((kurtosis - 1) / w.size)
    assert abs(w.var() * fan_in / 2 - 1) < 5 * standard_error
    assert abs(w.mean()) < 5 * w.std() / np.sqrt(w.size)
    glorot = 2 / (fan_in + fan_in // shape[-2] * shape[-1])
    assert abs(glorot * fan_in / 2 - 1) > 5 * standard_error
