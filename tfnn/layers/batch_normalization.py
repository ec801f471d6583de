"""Batch normalisation (lecture, section 6; Ioffe & Szegedy 2015, arXiv:1502.03167, algorithm 1)."""

import inspect
from typing import Any

import keras
import tensorflow as tf

RENORM = "renorm", "renorm_clipping", "renorm_momentum"  # arguments that Keras has from 3.14 on


def batch_norm(x, gamma, beta, epsilon, axes, moments=tf.nn.moments):
    """Algorithm 1: μ_B, σ²_B (biased) over `axes`; x̂ = (x − μ_B)/√(σ²_B + ε); y = γ x̂ + β. Returns (y, μ_B, σ²_B)."""
    mean, variance = moments(x, axes)
    return gamma * (x - mean) * tf.math.rsqrt(variance + epsilon) + beta, mean, variance


def synchronized_moments(x, axes):
    """`tf.nn.moments` over the parts of a batch on all replicas together.

    It takes two passes, because Keras's E[x²] − E[x]² loses the variance of numbers that lie far from 0.
    """
    total = lambda part: tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, part)
    n = total(tf.cast(tf.size(x) / tf.shape(x)[-1], x.dtype))
    mean = total(tf.reduce_sum(x, axes)) / n
    return mean, total(tf.reduce_sum((x - mean) ** 2, axes)) / n


def ghost_batch_norm(x, gamma, beta, epsilon, axis, size):
    """Algorithm 1 in each ghost of `size` examples; the last takes the rest. Returns (y, means, variances (ghosts, C))."""
    rows, within = tf.shape(x)[0], [a for a in range(1, len(x.shape)) if a != axis]
    ghosts = tf.maximum(rows // size, 1)
    ghost = tf.minimum(tf.range(rows) // size, ghosts - 1)  # of each example
    total = lambda part: tf.math.unsorted_segment_sum(part, ghost, ghosts)
    ones = tf.ones_like(tf.reduce_sum(x, range(1, len(x.shape)), keepdims=True))
    mean_in_ghost = lambda part: total(tf.reduce_mean(part, within, keepdims=True)) / total(ones)
    mean = mean_in_ghost(x)  # (ghosts, 1, 1, C)
    centred = x - tf.gather(mean, ghost)
    variance = mean_in_ghost(centred**2)
    along = [-1 if a == axis else 1 for a in range(len(x.shape))]
    scale = tf.reshape(gamma, along) * tf.math.rsqrt(tf.gather(variance, ghost) + epsilon)
    channels = x.shape[axis]
    y = scale * centred + tf.reshape(beta, along)
    return y, tf.reshape(mean, [-1, channels]), tf.reshape(variance, [-1, channels])


def fused_batch_norm(x, gamma, beta, epsilon):
    """`batch_norm` over all axes but the last of images (B, H, W, C), in one kernel."""
    y, mean, unbiased, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon, is_training=True
    )
    n = tf.cast(tf.size(x) / tf.shape(x)[-1], tf.float32)
    return y, mean, unbiased * ((n - 1) / n)  # the kernel returns Σ/(n−1), and algorithm 1 has Σ/n


def fused_frozen_norm(x, gamma, beta, mean, variance, epsilon):
    """γ (x − mean)/√(variance + ε) + β with given moments, for images, in one kernel."""
    return tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=epsilon, is_training=False
    )[0]


@keras.saving.register_keras_serializable("tfnn")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization`, with a fused kernel for channels-last images, and with ghost batches.

    In training x̂ = (x − μ_B)/√(σ²_B + ε), y = γ x̂ + β with the mean and biased variance of the batch over all axes but
    `axis`, and moving ← momentum · moving + (1 − momentum) · batch. At test, or when frozen (`trainable = False`), the
    moving moments replace those of the batch. Place it after a convolution or dense layer, before the activation.

    Constructor and behaviour are Keras's; its own code still runs for masks, `renorm` and channels that are not last.
    Images are not upcast under mixed precision: the kernel computes in float32 internally.

    The batch is what one call sees. Where `tfnn.fit` grows the batch by accumulation, that is a micro-batch: each one is
    normalised by its own moments and updates the moving ones once, in order; a shorter last one counts like a full one.
    Under a strategy it is the replica's share, unless `synchronized`.

    Args:
        virtual_batch_size: examples of a ghost batch (Hoffer et al. 2017, arXiv:1705.08741, algorithm 1), or None. Each
            call is split, in order, into ghosts of that size; the last one takes the rest, so that it may be nearly twice as
            large. Outputs and moving moments are as if the ghosts had been batches, one after another. So neither the noise
            of the moving moments nor the number of examples that they remember depends on the batch size.

    Raises:
        ValueError: for a `virtual_batch_size` below 1, or with `synchronized`, `renorm` or, in training, a mask; for
            `renorm=True` where Keras is older than 3.14.

    Example:
        >>> x = keras.layers.Conv2D(16, 3, padding="same", use_bias=False)(x)
        >>> x = keras.layers.ReLU()(tfnn.layers.BatchNormalization()(x))
    """

    renorm = False  # for versions of Keras without it

    def __init__(self, *args: Any, virtual_batch_size: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **known(kwargs))
        if virtual_batch_size is not None:
            if not virtual_batch_size >= 1 or int(virtual_batch_size) != virtual_batch_size:
                raise ValueError(f"virtual_batch_size={virtual_batch_size} must be None or an integer of at least 1")
            if self.synchronized or self.renorm:
                other = "synchronized" if self.synchronized else "renorm"
                raise ValueError(f"virtual_batch_size={virtual_batch_size} and {other}=True exclude each other; give one")
        self.virtual_batch_size = virtual_batch_size

    def call(self, inputs, training=None, mask=None):
        learning = training and self.trainable
        if learning and self.virtual_batch_size:
            return self.by_ghosts(inputs, mask)
        if mask is not None or self.renorm or self.axis not in (-1, len(inputs.shape) - 1):
            return super().call(inputs, training=training, mask=mask)
        together = learning and self.synchronized and several_replicas()
        fused = len(inputs.shape) == 4 and inputs.dtype in (tf.float16, tf.bfloat16, tf.float32) and not together
        x = inputs if fused else upcast(inputs)
        gamma, beta = self.scale_and_offset(tf.float32 if fused else x.dtype)
        if not learning:
            y = self.by_moving_moments(x, gamma, beta, fused)
        elif fused:
            y, *moments = fused_batch_norm(x, gamma, beta, self.epsilon)
        else:
            axes = list(range(len(x.shape) - 1))
            moments_of = synchronized_moments if together else tf.nn.moments
            y, *moments = batch_norm(x, gamma, beta, self.epsilon, axes, moments_of)
        if learning:
            self.move(self.momentum, *(moment * (1 - self.momentum) for moment in moments))
        return tf.cast(y, self.compute_dtype)

    def by_moving_moments(self, x, gamma, beta, fused):
        mean, variance = tf.cast(self.moving_mean, gamma.dtype), tf.cast(self.moving_variance, gamma.dtype)
        if fused:
            return fused_frozen_norm(x, gamma, beta, mean, variance, self.epsilon)
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, self.epsilon)

    def by_ghosts(self, inputs, mask):
        if mask is not None:
            raise ValueError(f"virtual_batch_size={self.virtual_batch_size} takes no mask, but the inputs came with one")
        x = upcast(inputs)
        gamma, beta = self.scale_and_offset(x.dtype)
        axis = self.axis % len(x.shape)
        y, *moments = ghost_batch_norm(x, gamma, beta, self.epsilon, axis, self.virtual_batch_size)
        ghosts = tf.shape(moments[0])[0]
        ages = tf.cast(tf.range(ghosts - 1, -1, -1), x.dtype)[:, None]
        weights = (1 - self.momentum) * self.momentum**ages
        keep = self.momentum ** tf.cast(ghosts, self.moving_mean.dtype)
        self.move(keep, *(tf.reduce_sum(weights * moment, 0) for moment in moments))
        return tf.cast(y, self.compute_dtype)

    def move(self, keep, mean, variance):
        """moving ← keep · moving + the new part, for mean and variance."""
        for moving, coming in (self.moving_mean, mean), (self.moving_variance, variance):
            moving.assign(moving * keep + tf.cast(coming, moving.dtype))

    def scale_and_offset(self, dtype):
        gamma = tf.cast(self.gamma, dtype) if self.scale else tf.ones_like(self.moving_mean, dtype)
        beta = tf.cast(self.beta, dtype) if self.center else tf.zeros_like(self.moving_mean, dtype)
        return gamma, beta

    def get_config(self):
        return {**super().get_config(), "virtual_batch_size": self.virtual_batch_size}


def known(arguments):
    """The arguments that the installed version of Keras's layer takes; an older one has no `renorm`, which is then off."""
    if "renorm" in inspect.signature(keras.layers.BatchNormalization.__init__).parameters:
        return arguments
    if arguments.get("renorm"):
        raise ValueError(f"renorm needs Keras 3.14 or later, found {keras.__version__}: leave it out, or upgrade Keras")
    return {name: value for name, value in arguments.items() if name not in RENORM}


def upcast(x):
    return tf.cast(x, keras.backend.result_type(x.dtype, "float32"))


def several_replicas():
    context = tf.distribute.get_replica_context()  # None outside of `strategy.run`
    return context is not None and context.num_replicas_in_sync > 1
