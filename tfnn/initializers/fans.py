"""Counts n_in, the inputs that one output unit of a kernel sums over, and n_out, the outputs that one input unit feeds.

The shape alone does not determine them; Keras reads every shape as that of a dense layer or a plain convolution. These are
the layouts of its layers:

| `kernel` | layers | shape in 2-D | n_in | n_out |
|---|---|---|---|---|
| `"standard"` | Dense, Conv | (h, w, channels / groups, filters) | h w channels / groups | h w filters / groups |
| `"depthwise"` | DepthwiseConv, the first kernel of SeparableConv | (h, w, channels, multiplier) | h w | h w multiplier |
| `"transposed"` | ConvTranspose | (h, w, filters, channels) | h w channels | h w filters |

They are counted at stride 1, as in the papers. A stride of s on each of d axes makes n_out of a convolution, and n_in of a
transposed one, s^d times smaller on average; there a `scale` that is s^d times larger preserves the variance.
"""

import math

KERNELS = ("standard", "depthwise", "transposed")


def fans(shape, input_axes=None, output_axes=None, kernel="standard", groups=1):
    """(n_in, n_out) of a kernel. For a vector of n numbers it is (n, n), as in Keras."""
    check_shape(shape, kernel, groups)
    if len(shape) < 2:
        return math.prod(shape), math.prod(shape)
    if input_axes is None:
        input_axes, output_axes = axes(len(shape), kernel)
    size = lambda axes: math.prod(shape[axis] for axis in axes)
    return size(input_axes), size(output_axes) // groups


def axes(rank, kernel):
    """The axes of a kernel over which an output unit sums, and those over which an input unit is spread."""
    *field, a, b = range(rank)
    return {
        "standard": ([*field, a], [*field, b]),
        "depthwise": (field, [*field, b]),
        "transposed": ([*field, b], [*field, a]),
    }[kernel]


def check_layout(input_axes, output_axes, kernel, groups):
    if kernel not in KERNELS:
        raise ValueError(f"kernel={kernel!r} must be one of {KERNELS}")
    if not groups >= 1:
        raise ValueError(f"groups={groups} must be at least 1")
    if groups > 1 and kernel != "standard":
        raise ValueError(f"groups={groups} must be 1 where kernel={kernel!r}: Keras groups plain convolutions only")
    if (input_axes is None) != (output_axes is None):
        raise ValueError(f"input_axes={input_axes} and output_axes={output_axes} must be given together")
    if input_axes is not None and (kernel != "standard" or groups > 1):
        raise ValueError(f"input_axes={input_axes} must not meet kernel={kernel!r}, groups={groups}: either tells n_in")


def check_shape(shape, kernel="standard", groups=1):
    if not all(size > 0 for size in shape):
        raise ValueError(f"shape={tuple(shape)} must have dimensions of at least 1")
    if (kernel != "standard" or groups > 1) and len(shape) < 3:
        raise ValueError(f"shape={tuple(shape)} must have at least 3 axes where kernel={kernel!r}, groups={groups}")
    if groups > 1 and shape[-1] % groups:
        raise ValueError(f"groups={groups} must divide the number of filters, the last of shape={tuple(shape)}")
