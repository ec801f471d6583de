"""With the right fans real layers keep the variance of what passes through them, forward and backward."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.needs import INPUT_AXES
from tfnn import initializers
from tfnn.initializers.fans import fans

layers = keras.layers
SAME = {"padding": "same", "use_bias": False}
DEPTHWISE, TRANSPOSED, GROUPED = {"kernel": "depthwise"}, {"kernel": "transposed"}, {"groups": 4}

# name: (layer of an initializer, arguments of the initializer, shape of the input)
LAYERS = {
    "Dense": (lambda init: layers.Dense(200, kernel_initializer=init, use_bias=False), {}, (100, 150)),
    "Conv1D": (lambda init: layers.Conv1D(48, 5, kernel_initializer=init, **SAME), {}, (30, 20, 32)),
    "Conv2D": (lambda init: layers.Conv2D(48, 3, kernel_initializer=init, **SAME), {}, (10, 10, 10, 32)),
    "Conv3D": (lambda init: layers.Conv3D(24, 3, kernel_initializer=init, **SAME), {}, (4, 8, 8, 8, 16)),
    "DepthwiseConv1D": (
        lambda init: layers.DepthwiseConv1D(5, depth_multiplier=3, depthwise_initializer=init, **SAME),
        DEPTHWISE,
        (10, 20, 200),
    ),
    "DepthwiseConv2D": (
        lambda init: layers.DepthwiseConv2D(3, depth_multiplier=3, depthwise_initializer=init, **SAME),
        DEPTHWISE,
        (4, 10, 10, 200),
    ),
    "grouped Conv2D": (
        lambda init: layers.Conv2D(64, 3, groups=4, kernel_initializer=init, **SAME),
        GROUPED,
        (10, 10, 10, 32),
    ),
    "Conv1DTranspose": (lambda init: layers.Conv1DTranspose(48, 5, kernel_initializer=init, **SAME), TRANSPOSED, (30, 20, 32)),
    "Conv2DTranspose": (
        lambda init: layers.Conv2DTranspose(64, 3, kernel_initializer=init, **SAME),
        TRANSPOSED,
        (10, 10, 10, 24),
    ),
    "Conv3DTranspose": (
        lambda init: layers.Conv3DTranspose(24, 3, kernel_initializer=init, **SAME),
        TRANSPOSED,
        (4, 8, 8, 8, 16),
    ),
}
# where Keras's classes, which see a shape only, miss the variance by more than the bound
KERAS_MISSES = {
    ("DepthwiseConv1D", "fan_in"),
    ("DepthwiseConv2D", "fan_in"),
    ("grouped Conv2D", "fan_out"),
    *((f"Conv{d}DTranspose", mode) for d in (1, 2, 3) for mode in ("fan_in", "fan_out")),
}


def through(layer, shape, mode):
    """Independent N(0, 1) numbers after the layer, or as gradients before it; away from the edges, where terms are missing."""
    random = np.random.RandomState(2)
    x = tf.constant(random.normal(size=shape), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    if mode == "fan_out":
        y = tape.gradient(y, x, output_gradients=random.normal(size=y.shape).astype("float32"))
    inner = slice(2, -2)
    return y.numpy().astype(np.float64)[(slice(None), *[inner] * (len(shape) - 2))]


def excess(y, *kernels):
    """Mean square of y over 1, less 1, in standard errors.

    Given the weights the examples are independent; and the expected mean square is a mean of squared weights, whose
    relative standard error is √((kurtosis − 1) / size).
    """
    squares = (y**2).mean(axis=tuple(range(1, y.ndim)))
    error = squares.var() / len(squares)
    for w in (np.asarray(kernel, np.float64) for kernel in kernels):
        error += ((w**4).mean() / (w**2).mean() ** 2 - 1) / w.size
    return abs(squares.mean() - 1) / np.sqrt(error)


@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_keeps_the_variance(name, mode):
    make, arguments, shape = LAYERS[name]
    layer = make(initializers.VarianceScaling(1.0, mode, seed=1, **arguments))
    assert excess(through(layer, shape, mode), layer.kernel) < 5
    keras_own = make(keras.initializers.VarianceScaling(1.0, mode, seed=1))
    assert (excess(through(keras_own, shape, mode), keras_own.kernel) > 5) == ((name, mode) in KERAS_MISSES)


@pytest.mark.parametrize("family, kept", [(initializers, True), (keras.initializers, False)])
def test_a_separable_convolution_keeps_the_variance(family, kept):
    arguments = DEPTHWISE if kept else {}
    layer = layers.SeparableConv2D(
        64,
        3,
        depth_multiplier=2,
        depthwise_initializer=family.VarianceScaling(1.0, "fan_in", seed=1, **arguments),
        pointwise_initializer=family.VarianceScaling(1.0, "fan_in", seed=2),
        **SAME,
    )
    y = through(layer, (10, 10, 10, 60), "fan_in")
    assert (excess(y, layer.depthwise_kernel, layer.pointwise_kernel) < 5) == kept


@pytest.mark.parametrize("scale, kept", [(4.0, True), (1.0, False)])
def test_a_stride_of_2_takes_a_scale_of_4(scale, kept):
    """Forward in a transposed convolution, backward in a plain one: the fans are counted at stride 1."""
    transposed = initializers.VarianceScaling(scale, "fan_in", seed=1, kernel="transposed")
    layer = layers.Conv2DTranspose(48, 4, strides=2, kernel_initializer=transposed, **SAME)
    assert (excess(through(layer, (10, 10, 10, 32), "fan_in"), layer.kernel) < 5) == kept
    plain = initializers.VarianceScaling(scale, "fan_out", seed=1)
    layer = layers.Conv2D(48, 4, strides=2, kernel_initializer=plain, **SAME)
    assert (excess(through(layer, (10, 20, 20, 32), "fan_out"), layer.kernel) < 5) == kept


@INPUT_AXES
def test_heads_of_attention_get_the_fans_of_their_equation():
    """`EinsumDense` sets the axes of the initializers that it knows by `isinstance`: of 64 inputs, not of 64 · 8."""
    layer = layers.MultiHeadAttention(8, 16, kernel_initializer=initializers.LecunNormal(seed=1))
    layer.build((None, 10, 64), (None, 10, 64))
    w = np.asarray(layer.query_dense.kernel, np.float64)
    assert w.shape == (64, 8, 16)
    assert abs(64 * w.var() - 1) < 5 * np.sqrt(2 / w.size) < abs(1 / 8 - 1)


@pytest.mark.parametrize(
    "shape, arguments, expected",
    [
        ((), {}, (1, 1)),
        ((7,), {}, (7, 7)),
        ((7, 5), {}, (7, 5)),
        ((3, 4, 7, 5), {}, (84, 60)),
        ((3, 4, 7, 5), {"kernel": "transposed"}, (60, 84)),
        ((3, 4, 7, 5), {"kernel": "depthwise"}, (12, 60)),
        ((3, 4, 7, 6), {"groups": 3}, (84, 24)),
        ((7, 2, 3), {"input_axes": [0], "output_axes": [-2, -1]}, (7, 6)),
    ],
)
def test_fans(shape, arguments, expected):
    assert fans(shape, **arguments) == expected


VARIANCE_SCALING = [
    name
    for name, part in vars(initializers).items()
    if isinstance(part, type) and issubclass(part, initializers.VarianceScaling)
]


@pytest.mark.parametrize("name", [*VARIANCE_SCALING, "Orthogonal"])
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"kernel": "pointwise"}, r"kernel='pointwise' must be one of .*'standard', 'depthwise', 'transposed'"),
        ({"groups": 0}, "groups=0 must be at least 1"),
        ({"groups": 2, "kernel": "depthwise"}, "groups=2 must be 1 where kernel='depthwise'"),
        ({"input_axes": [0]}, r"input_axes=\[0\] and output_axes=None must be given together"),
        ({"input_axes": [0], "output_axes": [1], "groups": 2}, r"input_axes=\[0\] must not meet kernel='standard', groups=2"),
    ],
)
def test_refuses_a_kernel_that_is_none(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(initializers, name)(**arguments)


@pytest.mark.parametrize("name", [*VARIANCE_SCALING, "Orthogonal"])
@pytest.mark.parametrize(
    "arguments, shape, message",
    [
        ({}, (3, 0), r"shape=\(3, 0\) must have dimensions of at least 1"),
        ({"kernel": "depthwise"}, (3, 4), r"shape=\(3, 4\) must have at least 3 axes where kernel='depthwise', groups=1"),
        ({"groups": 4}, (3, 3, 2, 6), r"groups=4 must divide the number of filters, the last of shape=\(3, 3, 2, 6\)"),
    ],
)
def test_refuses_a_shape_that_does_not_fit(name, arguments, shape, message):
    with pytest.raises(ValueError, match=message):
        getattr(initializers, name)(**arguments)(shape)


@pytest.mark.parametrize("name", ["SmallNormal", "Zeros"])
def test_refuses_a_dimension_of_0(name):
    with pytest.raises(ValueError, match=r"shape=\(0, 3\) must have dimensions of at least 1"):
        getattr(initializers, name)()((0, 3))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: initializers.VarianceScaling(mode="fan"), "`mode` argument: fan. Please use one of"),
        (lambda: initializers.VarianceScaling(distribution="cauchy"), "`distribution` argument: cauchy.*one of"),
        (lambda: initializers.VarianceScaling(0.0), "`scale` must be positive float. Received: scale=0.0"),
        (lambda: initializers.VarianceScaling(float("nan")), "scale=nan must be positive and finite"),
        (lambda: initializers.HeNormal(seed="one"), "Received: seed=one"),
        (lambda: initializers.SmallNormal(0.0), "stddev=0.0 must be positive"),
        (lambda: initializers.Orthogonal()((3,)), r"shape=\(3,\) must have at least 2 axes"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()
