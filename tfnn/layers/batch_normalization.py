"""Batch normalisation (lecture, section 6; Ioffe & Szegedy 2015, arXiv:1502.03167, algorithm 1)."""

import keras
import tensorflow as tf


def batch_norm(x, gamma, beta, epsilon, axes):
    """Algorithm 1: μ_B, σ²_B (biased) over `axes`; x̂ = (x − μ_B)/√(σ²_B + ε); y = γ x̂ + β. Gives (y, μ_B, σ²_B)."""
    mean, variance = tf.nn.moments(x, axes)
    return gamma * (x - mean) * tf.math.rsqrt(variance + epsilon) + beta, mean, variance


def fused_batch_norm(x, gamma, beta, epsilon):
    """`batch_norm` over all axes but the last of images (B, H, W, C), in one kernel."""
    y, mean, unbiased, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon, is_training=True
    )
    n = tf.cast(tf.size(x) / tf.shape(x)[-1], tf.float32)
    return y, mean, unbiased * ((n - 1) / n)  # the kernel gives Σ/(n−1) where algorithm 1 has Σ/n


def fused_frozen_norm(x, gamma, beta, mean, variance, epsilon):
    """γ (x − mean)/√(variance + ε) + β with given moments, for images, in one kernel."""
    return tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=epsilon, is_training=False
    )[0]


@keras.saving.register_keras_serializable("tfnn")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization`, with a fused kernel for channels-last images.

    In training x̂ = (x − μ_B)/√(σ²_B + ε), y = γ x̂ + β with the mean and biased variance of the batch over all axes but
    `axis`, and moving ← momentum · moving + (1 − momentum) · batch. At test, or when frozen (`trainable = False`), the
    moving moments stand for those of the batch. Place it after a convolution or dense layer, before the activation.

    Constructor and behaviour are Keras's; its own code still runs where masks, `synchronized` or `renorm` ask for it.
    Images are not upcast under mixed precision: the kernel computes in float32 inside.

    Example:
        >>> x = keras.layers.Conv2D(16, 3, padding="same", use_bias=False)(x)
        >>> x = keras.layers.ReLU()(tfnn.layers.BatchNormalization()(x))
    """

    def call(self, inputs, training=None, mask=None):
        if mask is not None or self.synchronized or self.renorm or self.axis not in (-1, len(inputs.shape) - 1):
            return super().call(inputs, training=training, mask=mask)
        fused = len(inputs.shape) == 4 and inputs.dtype in (tf.float16, tf.bfloat16, tf.float32)
        x = inputs if fused else tf.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        moment = tf.float32 if fused else x.dtype
        gamma = tf.cast(self.gamma, moment) if self.scale else tf.ones_like(self.moving_mean, moment)
        beta = tf.cast(self.beta, moment) if self.center else tf.zeros_like(self.moving_mean, moment)
        normalize = self.by_batch if training and self.trainable else self.by_moving_moments
        return tf.cast(normalize(x, gamma, beta, fused), self.compute_dtype)

    def by_batch(self, x, gamma, beta, fused):
        """Normalises by the moments of the batch, towards which the moving ones move."""
        if fused:
            y, mean, variance = fused_batch_norm(x, gamma, beta, self.epsilon)
        else:
            y, mean, variance = batch_norm(x, gamma, beta, self.epsilon, axes=list(range(len(x.shape) - 1)))
        for moving, batch in (self.moving_mean, mean), (self.moving_variance, variance):
            moving.assign(moving * self.momentum + tf.cast(batch, moving.dtype) * (1 - self.momentum))
        return y

    def by_moving_moments(self, x, gamma, beta, fused):
        mean, variance = tf.cast(self.moving_mean, gamma.dtype), tf.cast(self.moving_variance, gamma.dtype)
        if fused:
            return fused_frozen_norm(x, gamma, beta, mean, variance, self.epsilon)
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, self.epsilon)
