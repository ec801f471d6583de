"""Small random weights (lecture, section 2)."""

import keras

from tfnn.initializers.fans import check_shape


@keras.saving.register_keras_serializable("tfnn")
class SmallNormal(keras.initializers.RandomNormal):
    """ε · N(0, 1) with ε = 0.01 (lecture, section 2), whatever the shape.

    It is good for a few layers. In a deep net the signal and the gradient shrink at each layer.

    Args:
        stddev: ε, positive.
        seed: as in `VarianceScaling`.

    Raises:
        ValueError: for a `stddev` that is not positive; when called, for a shape with a dimension of 0.

    Example:
        >>> keras.layers.Dense(128, "tanh", kernel_initializer=tfnn.initializers.SmallNormal(seed=1))
    """

    def __init__(self, stddev: float = 0.01, seed: int | keras.random.SeedGenerator | None = None) -> None:
        if not stddev > 0:
            raise ValueError(f"stddev={stddev} must be positive: from zero all units are updated alike")
        super().__init__(stddev=stddev, seed=seed)

    def __call__(self, shape, dtype=None):
        check_shape(shape)
        return super().__call__(shape, dtype)

    def get_config(self):
        return {name: value for name, value in super().get_config().items() if name != "mean"}
