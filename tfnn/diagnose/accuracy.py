"""The accuracy of a classifier, and its uncertainty."""

import keras
import numpy as np

from tfnn.data.dataset import Part


def accuracy(model: keras.Model, part: Part, batch_size: int = 256) -> float:
    """The share of a `tfnn.data.Part` that `model` classifies correctly.

    Example:
        >>> share = tfnn.diagnose.accuracy(model, tfnn.data.Part(x_test, y_test))
    """
    return float(np.mean(probabilities(model, part, batch_size).argmax(-1) == part.y))


def probabilities(model, part, batch_size=256):
    """The model's outputs for all images of a `tfnn.data.Part`, (N, classes).

    It runs eagerly, because tracing would take longer than the one pass.
    """
    starts = range(0, len(part.y), batch_size)
    return np.concatenate([model(part.x[start : start + batch_size], training=False) for start in starts])


def interval(share: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share p of n. It holds near 0 and 1, where p ± z σ does not.

    (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n); z = 1.96 gives 95%.

    Example:
        >>> low, high = tfnn.diagnose.interval(0.97, n=1000)
    """
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)
