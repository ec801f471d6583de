"""Orthonormal kernels (Saxe, McClelland & Ganguli 2014, arXiv:1312.6120)."""

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfnn.initializers.fans import axes, check_layout, check_shape


def orthonormal(a):
    """Q of A = QR with a positive diagonal of R. For a normal A it is uniform over orthonormal columns (Mezzadri 2007)."""
    q, r = tf.linalg.qr(a)
    return tf.where(tf.linalg.diag_part(r)[..., None, :] < 0, -q, q)


def matrices(shape, input_axes, output_axes):
    """Reads a kernel as a stack of matrices that share no unit: the axes of the stack, the rows (inputs) and the columns."""
    rank = len(shape)
    rows = [axis % rank for axis in input_axes]
    columns = [axis % rank for axis in output_axes if axis % rank not in rows]
    return [axis for axis in range(rank) if axis not in rows + columns], rows, columns


@keras.saving.register_keras_serializable("tfnn")
class Orthogonal(keras.initializers.Orthogonal):
    """W Wᵀ = gain² 1 or Wᵀ W = gain² 1, whichever is smaller; W maps the n_in inputs of a unit to all outputs.

    Saxe, McClelland & Ganguli 2014, arXiv:1312.6120: in a linear net all singular values of the product stay 1. The
    entries of W have the variance gain² / max(rows, columns). A grouped or depthwise kernel is a stack of matrices, one for
    each group or channel, each of them orthonormal.

    The arguments are those of `keras.initializers.Orthogonal`; so are the numbers for standard kernels, the only ones it
    knows. Half precision is rounded from float32, in which Q is orthonormal to more digits.

    Args:
        gain: the factor of all weights; use √2 before a ReLU.
        seed, input_axes, output_axes, kernel, groups: as in `VarianceScaling`, but `EinsumDense` does not set these axes.

    Raises:
        ValueError: for another `kernel` or `groups`; when called, for a shape of fewer than two axes, with a
            dimension of 0, or that does not fit `kernel` and `groups`.

    Example:
        >>> keras.layers.Dense(128, "tanh", kernel_initializer=tfnn.initializers.Orthogonal(seed=1))
    """

    def __init__(
        self,
        gain: float = 1.0,
        seed: int | keras.random.SeedGenerator | None = None,
        *,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
        kernel: str = "standard",
        groups: int = 1,
    ) -> None:
        super().__init__(gain, seed)
        check_layout(input_axes, output_axes, kernel, groups)
        self.input_axes, self.output_axes, self.kernel, self.groups = input_axes, output_axes, kernel, groups

    def __call__(self, shape, dtype=None):
        check_shape(shape, self.kernel, self.groups)
        if len(shape) < 2 and self.input_axes is None:
            raise ValueError(f"shape={tuple(shape)} must have at least 2 axes")
        dtype = keras.backend.standardize_dtype(dtype)
        precise = dtype if dtype == "float64" else "float32"  # TensorFlow decomposes no bfloat16
        return tf.reshape(tf.cast(self.gain * self.weights(shape, precise), dtype), shape)

    def weights(self, shape, dtype):
        input_axes, output_axes = self.input_axes, self.output_axes
        if input_axes is None:
            input_axes, output_axes = axes(len(shape), self.kernel)
        if self.groups > 1:
            shape = *shape[:-1], self.groups, shape[-1] // self.groups
            output_axes = [-1]
        parts = matrices(shape, input_axes, output_axes)
        stack, rows, columns = (math.prod(shape[axis] for axis in part) for part in parts)
        tall = keras.random.normal((stack, max(rows, columns), min(rows, columns)), dtype=dtype, seed=self.seed)
        w = orthonormal(tall)
        w = tf.transpose(w, [0, 2, 1]) if rows < columns else w  # (stack, rows, columns)
        order = [axis for part in parts for axis in part]
        return tf.transpose(tf.reshape(w, [shape[axis] for axis in order]), np.argsort(order))

    def get_config(self):
        return {
            **super().get_config(),
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
            "kernel": self.kernel,
            "groups": self.groups,
        }
