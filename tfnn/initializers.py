"""Initializers (lecture, section 2): the variance that keeps signals from vanishing or exploding with depth.

With independent, zero-mean weights and inputs Var(y) = n_in · Var(w) · Var(x); a ReLU halves the second moment of its
input, so that Var(w) = 2/n_in keeps the signal's scale from layer to layer (He et al. 2015).
"""

import keras


@keras.saving.register_keras_serializable("tfnn")
class HeNormal(keras.initializers.VarianceScaling):
    """N(0, 2/n_in), for layers followed by a ReLU (He et al. 2015, arXiv:1502.01852, eq. 10).

    As in Keras the normal is truncated at two standard deviations and widened so that its variance is 2/n_in.

    Args:
        seed: an int, a `keras.random.SeedGenerator`, or None for a fresh seed at construction. As in Keras, one
            initializer with an int or None draws the same numbers at each call.

    Example:
        >>> keras.layers.Dense(128, "relu", kernel_initializer=tfnn.initializers.HeNormal(seed=1))
    """

    def __init__(self, seed=None):
        super().__init__(scale=2.0, mode="fan_in", distribution="truncated_normal", seed=seed)

    def get_config(self):
        return {"seed": super().get_config()["seed"]}
