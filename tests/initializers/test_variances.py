"""Variances within five standard errors of what the papers ask for, for each rule and each kind of kernel."""

import numpy as np
import pytest

from tfnn import initializers

# name of the rule: (n_in, n_out) to Var(w), as the papers have it
RULES = {
    "SmallNormal": lambda n_in, n_out: 0.01**2,
    "LecunNormal": lambda n_in, n_out: 1 / n_in,
    "LecunUniform": lambda n_in, n_out: 1 / n_in,
    "FanOutNormal": lambda n_in, n_out: 1 / n_out,
    "GlorotNormal": lambda n_in, n_out: 2 / (n_in + n_out),
    "GlorotUniform": lambda n_in, n_out: 2 / (n_in + n_out),
    "GlorotReluNormal": lambda n_in, n_out: 4 / (n_in + n_out),
    "HeNormal": lambda n_in, n_out: 2 / n_in,
    "HeUniform": lambda n_in, n_out: 2 / n_in,
}
# layer: (shape of its kernel, arguments, n_in, n_out), counted by hand
KERNELS = {
    "dense": ((200, 300), {}, 200, 300),
    "1-D": ((5, 40, 200), {}, 200, 1000),
    "2-D": ((3, 3, 20, 300), {}, 180, 2700),
    "3-D": ((3, 3, 3, 10, 200), {}, 270, 5400),
    "depthwise 1-D": ((5, 3000, 2), {"kernel": "depthwise"}, 5, 10),
    "depthwise 2-D": ((3, 3, 1000, 4), {"kernel": "depthwise"}, 9, 36),
    "grouped 1-D": ((5, 40, 200), {"groups": 10}, 200, 100),
    "grouped 2-D": ((3, 3, 20, 300), {"groups": 30}, 180, 90),
    "transposed 1-D": ((5, 40, 200), {"kernel": "transposed"}, 1000, 200),
    "transposed 2-D": ((3, 3, 20, 300), {"kernel": "transposed"}, 2700, 180),
    "transposed 3-D": ((2, 2, 2, 10, 500), {"kernel": "transposed"}, 4000, 80),
    "heads": ((64, 8, 20), {"input_axes": [0], "output_axes": [1, 2]}, 64, 160),
}


def standard_errors(w, variance):
    """How many standard errors the mean square of w is from `variance`; the fourth moment is measured."""
    w = np.asarray(w, np.float64).ravel()
    kurtosis = (w**4).mean() / (w**2).mean() ** 2
    return abs((w**2).mean() / variance - 1) / np.sqrt((kurtosis - 1) / w.size)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_variance(rule, kernel):
    shape, arguments, n_in, n_out = KERNELS[kernel]
    arguments = {} if rule == "SmallNormal" else arguments
    w = getattr(initializers, rule)(seed=1, **arguments)(shape)
    asked = RULES[rule](n_in, n_out)
    assert standard_errors(w, asked) < 5
    assert abs(np.mean(w)) < 5 * np.sqrt(asked / np.size(w))
    for neighbour in RULES.values():
        if abs(neighbour(n_in, n_out) / asked - 1) > 0.1:
            assert standard_errors(w, neighbour(n_in, n_out)) > 5


@pytest.mark.parametrize("distribution", ["truncated_normal", "untruncated_normal", "uniform"])
@pytest.mark.parametrize("mode, n", [("fan_in", 9), ("fan_out", 36), ("fan_avg", 22.5)])
def test_variance_scaling(mode, n, distribution):
    w = initializers.VarianceScaling(0.3, mode, distribution, 1, kernel="depthwise")((3, 3, 1000, 4))
    assert standard_errors(w, 0.3 / n) < 5


def largest(w):
    """In standard deviations."""
    return np.abs(w).max() / np.std(w)


def test_distributions():
    """36,000 plain normal numbers reach 4 deviations; a truncated one ends at 2/0.88, a uniform one at √3."""
    shape = 200, 180
    assert largest(initializers.SmallNormal(seed=1)(shape)) > 3.5
    for rule in "HeNormal", "LecunNormal", "GlorotNormal", "GlorotReluNormal", "FanOutNormal":
        assert 2.2 < largest(getattr(initializers, rule)(seed=1)(shape)) < 2.3
    for rule in "HeUniform", "LecunUniform", "GlorotUniform":
        assert 1.7 < largest(getattr(initializers, rule)(seed=1)(shape)) < 1.75


@pytest.mark.parametrize("kernel", KERNELS)
def test_orthogonal_weights_have_the_mean_square_1_over_the_larger_side(kernel):
    """Exactly: r ≤ c orthonormal rows of length c hold r squares that sum to 1."""
    shape, arguments, n_in, _ = KERNELS[kernel]
    blocks = {"depthwise 1-D": 3000, "depthwise 2-D": 1000}.get(kernel, arguments.get("groups", 1))
    columns = np.prod(shape) // n_in // blocks
    w = initializers.Orthogonal(gain=3.0, seed=1, **arguments)(shape)
    np.testing.assert_allclose(np.mean(np.square(w)), 9 / max(n_in, columns), rtol=1e-4)
