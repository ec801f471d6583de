"""How often a classifier is right, and how sure that is."""

import numpy as np


def accuracy(model, part, batch_size=256):
    """The share of a `tfnn.data.Part` that `model` classifies rightly.

    Eagerly: one pass is over before a trace would be made.
    """
    starts = range(0, len(part.y), batch_size)
    classes = [np.argmax(model(part.x[start : start + batch_size], training=False), -1) for start in starts]
    return float(np.mean(np.concatenate(classes) == part.y))


def interval(share, n, z=1.96):
    """The interval of a share p of n by Wilson's score (1927), right near 0 and 1, where p ± z σ is not.

    (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n); z = 1.96 gives 95%.
    """
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)
