"""Weights with the variance scale / fan; the named rules in the neighbouring files are special cases of it."""

import math
from collections.abc import Sequence

import keras

from tfnn.initializers.fans import check_layout, fans

# The deviation of a standard normal truncated at ±2: √(1 − 4 φ(2) / (Φ(2) − Φ(−2))).
TRUNCATED = math.sqrt(1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2)))


def variance(scale, mode, n_in, n_out):
    return scale / {"fan_in": n_in, "fan_out": n_out, "fan_avg": (n_in + n_out) / 2}[mode]


def draw(shape, variance, distribution, dtype, seed):
    """Numbers of mean 0 and the given variance."""
    deviation = math.sqrt(variance)
    if distribution == "uniform":
        limit = math.sqrt(3) * deviation
        return keras.random.uniform(shape, -limit, limit, dtype=dtype, seed=seed)
    if distribution == "untruncated_normal":
        return keras.random.normal(shape, stddev=deviation, dtype=dtype, seed=seed)
    return keras.random.truncated_normal(shape, stddev=deviation / TRUNCATED, dtype=dtype, seed=seed)


@keras.saving.register_keras_serializable("tfnn")
class VarianceScaling(keras.initializers.VarianceScaling):
    """Var(w) = scale / n, where n is n_in, n_out or (n_in + n_out) / 2.

    Arguments, defaults and numbers are those of `keras.initializers.VarianceScaling`. In addition the fans are right for
    kernels whose shape does not determine them (`tfnn/initializers/fans.py` has the table).

    Args:
        scale: a positive number.
        mode: `"fan_in"`, `"fan_out"` or `"fan_avg"`.
        distribution: `"truncated_normal"` (at two standard deviations, and widened to have the variance asked for),
            `"untruncated_normal"` or `"uniform"` (within ±√(3 scale / n)).
        seed: an int, a `keras.random.SeedGenerator`, or None for a fresh seed at construction. As in Keras, one
            initializer with an int or None draws the same numbers at each call.
        input_axes, output_axes: the axes of the kernel whose sizes multiply to n_in and n_out, in place of `kernel`.
            `keras.layers.EinsumDense` sets them itself, from Keras 3.15 on.
        kernel: the kind of layer: `"standard"` (dense, convolution), `"depthwise"` or `"transposed"`.
        groups: the `groups` of the convolution.

    Raises:
        ValueError: for a `scale`, `mode`, `distribution`, `kernel` or `groups` outside the above; when called, for a
            shape with a dimension of 0 or that does not fit `kernel` and `groups`.

    Example:
        >>> initializer = tfnn.initializers.VarianceScaling(2.0, "fan_in", kernel="depthwise")
        >>> layer = keras.layers.DepthwiseConv2D(3, depthwise_initializer=initializer)
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | keras.random.SeedGenerator | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
        *,
        kernel: str = "standard",
        groups: int = 1,
    ) -> None:
        if not scale < math.inf:
            raise ValueError(f"scale={scale} must be positive and finite")
        super().__init__(scale, mode, distribution, seed)
        check_layout(input_axes, output_axes, kernel, groups)
        self.input_axes, self.output_axes = input_axes, output_axes  # Keras has them from 3.15 on
        self.kernel, self.groups = kernel, groups

    def __call__(self, shape, dtype=None):
        n_in, n_out = fans(shape, self.input_axes, self.output_axes, self.kernel, self.groups)
        return draw(shape, variance(self.scale, self.mode, n_in, n_out), self.distribution, dtype, self.seed)

    def get_config(self):
        axes = {"input_axes": self.input_axes, "output_axes": self.output_axes}
        return {**super().get_config(), **axes, "kernel": self.kernel, "groups": self.groups}


class Rule(VarianceScaling):
    """A named rule: `rule` holds its scale, mode and distribution; the other arguments are those of `VarianceScaling`."""

    rule: tuple[float, str, str]

    def __init__(
        self,
        seed: int | keras.random.SeedGenerator | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
        *,
        kernel: str = "standard",
        groups: int = 1,
    ) -> None:
        super().__init__(*self.rule, seed, input_axes, output_axes, kernel=kernel, groups=groups)

    def get_config(self):
        fixed = "scale", "mode", "distribution"
        return {name: value for name, value in super().get_config().items() if name not in fixed}
