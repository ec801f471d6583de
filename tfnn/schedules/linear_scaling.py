"""The linear scaling rule (Goyal et al. 2017, arXiv:1706.02677, section 2.1)."""

from tfnn.schedules.ranges import NotNegative, Positive, check


def linear_scaling(base_rate: float, batch_size: float, base_batch_size: float = 256) -> float:
    """η = base_rate · b / base_batch_size: a k-fold batch takes a k-fold rate, so that η/b, and the noise scale, stay as is.

    Goyal et al. 2017, arXiv:1706.02677, section 2.1, who take 0.1 for 256 examples. From a few hundred examples on the rule
    needs a `Warmup`, and beyond a few thousand it fails.

    Args:
        base_rate: the rate that is good for `base_batch_size`.
        batch_size: b, the examples of one update.
        base_batch_size: in examples.

    Returns:
        A float.

    Raises:
        ValueError: if `base_rate` is negative or a batch size is not positive.

    Example:
        >>> rate = tfnn.schedules.Cosine(tfnn.schedules.linear_scaling(0.1, 512), decay_steps=10_000)  # from 0.2
    """
    check("base_rate", base_rate, NotNegative)
    check("batch_size", batch_size, Positive)
    check("base_batch_size", base_batch_size, Positive)
    return base_rate * batch_size / base_batch_size
