"""Folds batch normalisation into the layers before it (Jacob et al. 2018, arXiv:1712.05877, section 3.2).

The model is traced again with new kernels in the layers and without the BatchNorms; nothing is cloned. This works inside
custom, nested and shared layers, and does not depend on the operations that a layer consists of. Rewriting the frozen
graph instead finds the same number (188 of NASNetMobile's 192, 59 of DenseNet121's 121), but has to know that TensorFlow
squeezes 1D convolutions, transposes channels-first ones, cuts dilated ones into blocks and reshapes dense layers on
sequences; and it leaves no variables.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfnn.internals.layers import layers_of
from tfnn.serving.foldable import along_kernel, foldable, kernel
from tfnn.taps import replaced_calls


def scale_and_shift(gamma, beta, mean, variance, epsilon):
    """s, t of γ (x − μ)/√(σ² + ε) + β = s x + t."""
    s = gamma / np.sqrt(variance + epsilon)
    return s, beta - s * mean


class FoldedModel(tf.Module):
    """The result of `fold_batchnorm`. `folded(inputs)` is the model at inference, in one trace for any batch size.

    Inputs have the structure that the model was made with: a tensor, a list, a dictionary.

    Attributes:
        folded, kept: the paths of the BatchNorm layers that were folded, and of those that were not.
        variables: its own for the folded layers, the model's for all others.
    """

    def __init__(self, network, folded, kept):
        super().__init__()
        self.network, self.folded, self.kept = network, folded, kept
        self.read = network.get_concrete_function().variables

    def __call__(self, inputs):
        return self.network(inputs)


def fold_batchnorm(model: keras.Model, inputs: Any = None) -> FoldedModel:
    """The model for inference, with BatchNorms folded into the convolution or dense layer before them, if they can be.

    γ (W x + b − μ)/√(σ² + ε) + β = W' x + b' with the moving moments, s = γ/√(σ² + ε), W' = s W, b' = s (b − μ) + β,
    computed in float64 (Jacob et al. 2018, arXiv:1712.05877, eq. 14).

    A BatchNorm of Keras or tfnn, at any depth and inside layers of any class, is folded if it normalises the channels of one
    Keras layer without activation, `Dense` or a convolution (also depthwise, separable, transposed or grouped), takes
    nothing else, and is the only one to take that layer's output. All others stay: before a convolution, after an addition,
    after a subclass of such a layer, in training mode, inside a loop or a `tf.function` of the model. The model is not
    changed, but it must not run in another thread while it is traced.

    Args:
        model: a built Keras model with any number of inputs and outputs.
        inputs: the structure of `tf.TensorSpec`s that the model takes. None takes those of the model; subclassed models
            have none.

    Returns:
        A `FoldedModel`. It copies the values of the folded layers, and shares the variables of all others.

    Raises:
        ValueError: if the model is not built, or `inputs` is None and the model has no inputs of its own.

    Example:
        >>> folded = tfnn.serving.fold_batchnorm(keras.applications.MobileNetV2(weights=None))
        >>> probabilities = folded(images)
        >>> print(f"{len(folded.folded)} folded, {len(folded.kept)} kept")
        52 folded, 0 kept
    """
    if not model.built:
        raise ValueError(f"model {model.name!r} is not built, so it has nothing to fold: call it on data first")
    specs = input_specs(model) if inputs is None else inputs
    pairs = foldable(model, specs)
    weights = {layer: folded_weights(layer, norm) for layer, norm in pairs.items()}

    def replace(layer, call):
        return with_weights(layer, call, *weights[layer]) if layer in weights else identity(layer)

    @tf.function(input_signature=[specs], autograph=False)
    def network(inputs):
        with replaced_calls([*pairs, *pairs.values()], replace):
            return model(inputs, training=False)

    norms = [layer for layer in layers_of(model, include_self=True) if isinstance(layer, keras.layers.BatchNormalization)]
    paths = lambda folded: tuple(norm.path for norm in norms if (norm in pairs.values()) is folded)
    return FoldedModel(network, folded=paths(True), kept=paths(False))


def input_specs(model):
    try:
        inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
        return keras.tree.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), inputs)
    except (AttributeError, ValueError):
        raise ValueError(f"model {model.name!r} has no inputs of its own: pass `inputs`, the tf.TensorSpecs of them") from None


def folded_weights(layer, norm):
    """Variables of W' and b'."""
    s, t = scale_and_shift(
        float64(norm.gamma) if norm.scale else 1.0,
        float64(norm.beta) if norm.center else 0.0,
        float64(norm.moving_mean),
        float64(norm.moving_variance),
        norm.epsilon,
    )
    w, b = float64(kernel(layer)), float64(layer.bias) if layer.use_bias else 0.0
    variable = lambda value: tf.Variable(tf.cast(value, kernel(layer).dtype), trainable=False)
    return variable(w * along_kernel(layer, s)), variable(s * b + t)


def float64(variable):
    return tf.cast(variable.value, tf.float64).numpy()


def with_weights(layer, call, w, b):
    """The layer's call with W' in place of W, and b' in place of b, or added if the layer has no b."""
    values = [(kernel(layer), w), (layer.bias, b)] if layer.use_bias else [(kernel(layer), w)]

    def run(*args, **kwargs):
        with keras.StatelessScope(values, initialize_variables=False):
            y = call(*args, **kwargs)
        return y if layer.use_bias else add_bias(y, b, getattr(layer, "data_format", "channels_last"))

    return run


def add_bias(y, b, data_format):
    return tf.nn.bias_add(y, tf.cast(b, y.dtype), "N...C" if data_format == "channels_last" else "NC...")


def identity(norm):
    return lambda inputs, training=None, mask=None: tf.cast(inputs, norm.compute_dtype)
