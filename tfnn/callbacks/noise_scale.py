"""Measures how noisy gradients are, and up to which batch size that matters (McCandlish et al. 2018; lecture, section 4)."""

import math
from typing import NamedTuple

import keras
import tensorflow as tf

from tfnn.checks import number, positive_integer
from tfnn.controls import Probe, needed_by
from tfnn.optimizers import SGD


class Moments(NamedTuple):
    """Moments of the gradients of single examples: their mean G, and their covariance Σ."""

    trace: float  # tr Σ
    squared_norm: float  # |G|²

    @property
    def critical_batch_size(self):
        """B_simple = tr Σ / |G|², in examples; ∞ if G cannot be told from 0, NaN before the first measurement."""
        if math.isnan(self.trace):
            return math.nan
        return self.trace / self.squared_norm if self.squared_norm > 0 else math.inf


def unbiased(small, big, b_small, b_big):
    """(tr Σ, |G|²) of independent examples, from |g|² of batches of two sizes: E|g_b|² = |G|² + tr Σ / b."""
    return Moments((small - big) / (1 / b_small - 1 / b_big), (b_big * big - b_small * small) / (b_big - b_small))


def without_replacement(trace, squared_norm, n):
    """Corrects the result of `unbiased` for batches that are drawn from n examples without replacement.

    The covariance of a mean of b of them is Σ/b · (n − b)/(n − 1) = n/(n − 1) · Σ · (1/b − 1/n). So E|g_b|² is still linear
    in 1/b: its slope is n/(n − 1) · tr Σ, and it reaches |G|² at 1/b = 1/n and not at 0.
    """
    return Moments(trace * (n - 1) / n, squared_norm + trace / n)


class NoiseScale(Probe):
    """Measures how noisy gradients are, and so which batch size would pay, from the micro-batches of an update.

    It adds to each epoch's logs

    - `critical_batch_size`: B_simple = tr Σ / |G|² (McCandlish et al. 2018, arXiv:1812.06162, eq. 2.9), in examples, with G the
      mean gradient and Σ the covariance of single examples' gradients. Far below it, a batch that is twice as large halves
      the number of updates; far above it, further examples are wasted;
    - `noise_scale`: g = ηN/b, with momentum ηN/(b(1 − μ)), of N training examples, b per update (Smith & Le 2017,
      arXiv:1710.06451; Smith et al. 2018, arXiv:1711.00489): the temperature of SGD, at the η in force. It is left out
      if N is unknown, and if the optimizer adapts the rate of single weights, for which it is not defined.

    Updates of k ≥ 2 whole micro-batches give |g|² at two batch sizes, from which tr Σ and |G|² follow without bias
    (appendix A.1), here corrected for drawing from N examples without replacement. Both vary wildly from update to update,
    so B_simple is the ratio of their exponential averages. It is NaN until it is measured, and ∞ where |G|² is lost in the
    noise. The attribute `total` has the moments of all weights, and `layers` is a dict of those of each layer.

    The order of examples must be random. With BatchNorm, a micro-batch's moments are part of its gradient's noise, and G is
    the mean for micro-batches of that size, so that the result holds for batches of more such micro-batches. In a small CNN
    on the digits, at fixed weights, tr Σ was 21% larger in micro-batches of 4 than of 64; without BatchNorm it stayed within
    3%.

    Args:
        interval: the number of updates from one measurement to the next. In a small dense net, a measured update takes over
            twice the time of another.
        smoothing: the share of the average that is kept at each measurement, in [0, 1).

    Raises:
        ValueError: for arguments out of range; when the run begins, if updates never sum micro-batches.
        RuntimeError: under `model.fit`, which does not reveal the gradients of parts of a batch.

    Example:
        >>> noise = tfnn.callbacks.NoiseScale()
        >>> history = tfnn.fit(model, x, y, batch_size=16, accumulate=2, epochs=5, callbacks=[noise])
        >>> history.history["critical_batch_size"][-1]
        >>> {layer: moments.critical_batch_size for layer, moments in noise.layers.items()}
    """

    wants_parts = True

    def __init__(self, interval: int = 50, smoothing: float = 0.9) -> None:
        super().__init__()
        self.interval = positive_integer("interval", interval, "a positive number of updates")
        self.smoothing = number("smoothing", smoothing, 0, 1)
        self.population = None

    # In the graph --------------------------------------------------------------------------------------------------------

    def build(self, weights):
        begin = f"{self.model.name}/"  # Keras counts this name up, and puts it before the paths in a Sequential
        self.paths = [weight.path.removeprefix(begin).rpartition("/")[0] for weight in weights]
        # averages of tr Σ, of |G|² and of 1, their bias correction, for each weight; in one variable, to save reads
        self.averages = tf.Variable(tf.zeros([3, len(weights)]), trainable=False)
        self.rate = tf.Variable(math.nan, trainable=False)  # η/b
        return [self.averages, self.rate]

    def measure(self, facts):
        b, parts = float(facts.micro_batch), tf.cast(facts.parts, tf.float32)
        small, big = facts.part_squares / parts, tf.stack([squared_norm(gradient) for gradient in facts.gradients])
        whole = (parts > 1) & (facts.examples == b * parts)
        usable = whole & tf.reduce_all(tf.math.is_finite(small + big))  # it is not if a scaled float16 loss overflowed
        found = tf.stack([*unbiased(small, big, b, b * parts), tf.ones_like(big)])
        self.averages.assign(tf.where(usable, self.smoothing * self.averages + (1 - self.smoothing) * found, self.averages))
        self.rate.assign(facts.learning_rate / tf.cast(facts.batch_size, tf.float32))

    # On the host ---------------------------------------------------------------------------------------------------------

    def on_train_begin(self, logs=None):
        if not needed_by(self).accumulates:
            raise ValueError(
                f"{type(self).__name__} compares the gradients of the micro-batches of an update, and here an update is one"
                " piece: give tfnn.fit half the batch_size and accumulate=2, and what grows the batch mode='accumulate'"
            )
        for variable, value in zip(self.variables, (0.0, math.nan)):  # a second run measures anew
            variable.assign(tf.fill(variable.shape, value))

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        self.population = needed_by(self).population

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        logs["critical_batch_size"] = self.total.critical_batch_size
        factor = temperature(self.model.optimizer)
        if factor and self.population:
            logs["noise_scale"] = float(self.rate) * self.population * factor

    @property
    def total(self):
        """The `Moments` of all weights."""
        return self.moments(self.averages.numpy())

    @property
    def layers(self):
        """{path of a layer: the `Moments` of its weights}, in the model's order."""
        averages, paths = self.averages.numpy(), self.paths
        return {layer: self.moments(averages[:, [path == layer for path in paths]]) for layer in dict.fromkeys(paths)}

    def moments(self, averages):
        """The `Moments` of the weights to which some columns of the averages belong."""
        trace, norm, ones = averages
        if not ones.any():
            return Moments(math.nan, math.nan)
        measured = Moments(float(trace.sum() / ones[0]), float(norm.sum() / ones[0]))
        return without_replacement(*measured, self.population) if self.population else measured


def squared_norm(gradient):
    return tf.reduce_sum(tf.square(tf.cast(gradient, tf.float32)))


def temperature(optimizer):
    """g / (ηN/b) = 1/(1 − μ), or None for an optimizer that adapts the rates of single weights."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if not isinstance(optimizer, (SGD, keras.optimizers.SGD)):
        return None
    return 1 / (1 - optimizer.momentum) / (optimizer.gradient_accumulation_steps or 1)
