"""Cosine decay (Loshchilov & Hutter 2017, SGDR, arXiv:1608.03983, eq. 5, one cycle)."""

import math

import keras
import tensorflow as tf


def cosine(t, t_max, eta_max, eta_min):
    return eta_min + 0.5 * (eta_max - eta_min) * (1 + tf.cos(math.pi * tf.minimum(t / t_max, 1.0)))


@keras.saving.register_keras_serializable("tfnn")
class Cosine(keras.optimizers.schedules.LearningRateSchedule):
    """η(t) = η_min + ½ (η_max − η_min)(1 + cos(π t / T)) for t ≤ T, then η_min.

    Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5. For a warm-up write `Warmup(Cosine(...), steps)`.

    Args:
        initial_learning_rate: η_max, the rate at step 0.
        decay_steps: T, in the unit of the clock: updates, or epochs inside `InEpochs`.
        alpha: η_min as a fraction of η_max.

    Raises:
        ValueError: if `decay_steps` is not positive, `initial_learning_rate` is negative or `alpha` is not in [0, 1].

    Example:
        >>> optimizer = tfnn.optimizers.SGD(tfnn.schedules.Cosine(0.1, decay_steps=10_000), momentum=0.9)
    """

    def __init__(self, initial_learning_rate, decay_steps, alpha=0.0, name="Cosine"):
        super().__init__()
        if not decay_steps > 0:
            raise ValueError(f"decay_steps={decay_steps} must be positive")
        if not initial_learning_rate >= 0:
            raise ValueError(f"initial_learning_rate={initial_learning_rate} must not be negative")
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha={alpha} must be in [0, 1]")
        self.initial_learning_rate, self.decay_steps, self.alpha, self.name = initial_learning_rate, decay_steps, alpha, name

    def __call__(self, step):
        t = tf.cast(step, tf.float64)  # a float32 loses single steps beyond 2^24
        rate = cosine(t, self.decay_steps, self.initial_learning_rate, self.alpha * self.initial_learning_rate)
        return tf.cast(rate, keras.config.floatx())

    def get_config(self):
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "name": self.name,
        }
