"""Dropout (Hinton et al. 2012, arXiv:1207.0580; Srivastava et al. 2014, JMLR 15; lecture, section 6)."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfnn import random
from tfnn.checks import fraction, number

SCALES = "training", "test"


def dropout(x, u, rate):
    """Sets x to 0 with probability p = rate, given uniform u in [0, 1)."""
    return tf.where(u >= tf.cast(rate, u.dtype), x, tf.zeros_like(x))


def check_floats(layer, inputs):
    if not inputs.dtype.is_floating:
        raise ValueError(f"{layer.name} scales its inputs: they must be floats, got {inputs.dtype.name}")


@keras.saving.register_keras_serializable("tfnn")
class Dropout(keras.layers.Dropout):
    """Sets units to 0 at random while training; arguments and defaults are those of `keras.layers.Dropout`.

    - `scale_at="training"` (inverted dropout, as in Keras): in training y = x / (1 − p) with probability 1 − p, else 0; at
      test y = x.
    - `scale_at="test"` (the lecture's; Srivastava et al. 2014, section 4): in training y = x or 0; at test y = (1 − p) x, as
      1 − p is the probability of keeping a unit. (The slide says "multiply by p", the same at its p = 0.5.)

    With both, the expectation in training is the output at test. `layer(x, training=True)` at test is Monte Carlo dropout
    (Gal & Ghahramani 2016, arXiv:1506.02142): the spread of several answers tells how unsure the model is.

    Under `tfnn.fit` the mask of an example is a function of (seed, epoch, example), whatever batch it is in.

    Args:
        rate: p in [0, 1], or a `tf.Variable` or `keras.Variable` that holds it. `layer.rate = p` takes effect at the next
            step, without a new trace.
        noise_shape: the shape of the mask, where None stands for the input's size; units along an axis of size 1 are dropped
            together.
        seed: an int, for use outside `tfnn.fit`, which has its own seed.
        scale_at: "training" or "test".

    Raises:
        ValueError: for a `rate` outside [0, 1], another `scale_at`, inputs that are not floats, or a `noise_shape` whose rank
            is not that of the inputs.

    Example:
        >>> model = keras.Sequential([keras.layers.Dense(64, "relu"), tfnn.layers.Dropout(0.5), keras.layers.Dense(10)])
    """

    def __init__(
        self,
        rate: float | tf.Variable | keras.Variable,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        *,
        scale_at: str = "training",
        **kwargs: Any,
    ) -> None:
        if scale_at not in SCALES:
            raise ValueError(f"scale_at={scale_at!r} must be one of {SCALES}")
        super().__init__(0.5, noise_shape, seed, **kwargs)  # not 0, at which Keras would make no seed generator
        self.rate = rate.value if isinstance(rate, keras.Variable) else rate  # Keras would track its own variable as a weight
        self.scale_at = scale_at

    @property
    def rate(self):
        if "held_rate" not in vars(self):
            raise AttributeError("rate")  # Keras reads an attribute before it is first set
        with tf.init_scope():  # a block may make its layers while a graph is traced
            return float(tf.convert_to_tensor(self.held_rate))  # under a strategy it may be a variable of several replicas

    @rate.setter
    def rate(self, value):
        self.check_rate(float(value))
        if isinstance(value, tf.Variable):
            self.held_rate = value
        elif "held_rate" in vars(self):
            self.held_rate.assign(value)
        else:
            with tf.init_scope():
                self.held_rate = tf.Variable(value, dtype=tf.float32, trainable=False, name="rate")  # no weight of the model

    def check_rate(self, rate):
        fraction("rate", rate)

    def call(self, inputs, training=False):
        check_floats(self, inputs)
        outputs = self.dropped(inputs, self.noise(inputs)) if training else inputs
        if self.scale_at != ("training" if training else "test"):
            return outputs
        keep = 1 - tf.cast(self.held_rate, inputs.dtype)
        return tf.math.divide_no_nan(outputs, keep) if training else outputs * keep

    def dropped(self, inputs, u):
        return dropout(inputs, u, self.held_rate)

    def noise(self, inputs):
        """Uniform numbers in [0, 1) in the shape of the mask."""
        shape = self.mask_shape(inputs)
        if not random.in_scope() or (self.noise_shape and self.noise_shape[0] == 1):
            return keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        return tf.reshape(random.uniforms(shape[0], math.prod(shape[1:]), self.seed_generator), shape)

    def mask_shape(self, inputs):
        whole = [tf.shape(inputs)[axis] if size is None else size for axis, size in enumerate(inputs.shape)]
        asked = self.noise_shape or [None] * len(whole)
        if len(asked) != len(whole):
            raise ValueError(f"noise_shape={asked} must have a size or None for each axis of inputs {tuple(inputs.shape)}")
        return [size if given is None else given for size, given in zip(whole, asked, strict=True)]

    def get_config(self):
        return {**super().get_config(), "scale_at": self.scale_at}


@keras.saving.register_keras_serializable("tfnn")
class SpatialDropout(Dropout):
    """Drops whole channels, as neighbours in a feature map are alike (Tompson et al. 2015, arXiv:1411.4280).

    It takes inputs (B, ..., C) of any rank, or (B, C, ...) of rank 4 and more where `keras.config.image_data_format()` says so,
    and so does the work of Keras's `SpatialDropout1D`, `2D` and `3D`.

    Args:
        rate, seed, scale_at: as in `Dropout`.

    Example:
        >>> layer = tfnn.layers.SpatialDropout(0.2)
    """

    def __init__(
        self, rate: float | tf.Variable | keras.Variable, seed: int | None = None, *, scale_at: str = "training", **kwargs: Any
    ) -> None:
        super().__init__(rate, None, seed, scale_at=scale_at, **kwargs)

    def mask_shape(self, inputs):
        rows, *rest = super().mask_shape(inputs)
        first = len(rest) > 2 and keras.config.image_data_format() == "channels_first"
        return [rows, rest[0], *[1] * len(rest[1:])] if first else [rows, *[1] * len(rest[:-1]), rest[-1]]

    def get_config(self):
        return {name: value for name, value in super().get_config().items() if name != "noise_shape"}


@keras.saving.register_keras_serializable("tfnn")
class GaussianDropout(Dropout):
    """y = x · N(1, p / (1 − p)) in training, y = x at test (Srivastava et al. 2014, section 10).

    Mean and variance are those of inverted dropout, but no unit is set to 0.

    Args:
        rate: p in [0, 1), as in `Dropout`.
        seed: as in `Dropout`.

    Raises:
        ValueError: for a `rate` outside [0, 1), or inputs that are not floats.

    Example:
        >>> layer = tfnn.layers.GaussianDropout(0.3)
    """

    def __init__(self, rate: float | tf.Variable | keras.Variable, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, None, seed, scale_at="test", **kwargs)

    def check_rate(self, rate):
        number("rate", rate, 0, 1)

    def call(self, inputs, training=False):
        check_floats(self, inputs)
        return self.dropped(inputs, self.noise(inputs)) if training else inputs

    def dropped(self, inputs, u):
        normal = tf.math.ndtri(tf.clip_by_value(u, 2.0**-25, 1 - 2.0**-24))  # u may be 0, whose quantile is −∞
        deviation = tf.sqrt(self.held_rate / (1 - self.held_rate))
        return inputs * tf.cast(1 + normal * deviation, inputs.dtype)

    def get_config(self):
        config = super().get_config()
        return {name: value for name, value in config.items() if name not in ("noise_shape", "scale_at")}
