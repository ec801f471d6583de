"""How many stages to retrain."""

from collections.abc import Sequence


def advise(n_examples: int, n_classes: int, thresholds: Sequence[int] = (20, 100, 500, 2000)) -> int | str:
    """How many of a backbone's last stages to retrain with the head, by the number of examples for each class.

    "The bigger your data set, the more layers you have to retrain" (lecture, section 7): few examples cannot correct many
    weights, many can. The lecture gives the direction and no numbers; those here are a start to be tried against the
    validation part, which decides. They are not measured: pretrained weights of the networks that they are for were not to be
    had. On a small network (`tfnn transfer --demo`) one stage of three is best with one example of each class, two with two,
    all with five and more.

    Args:
        n_examples: of the training part.
        n_classes: how many there are.
        thresholds: examples for each class, rising: from the k-th on k stages are retrained, from the last on all.

    Returns:
        An int, or "all".

    Raises:
        ValueError: for fewer than one example or two classes, and thresholds that do not rise.

    Example:
        >>> tfnn.transfer.advise(n_examples=500, n_classes=5)
        2
    """
    if n_examples < 1 or n_classes < 2:
        raise ValueError(f"n_examples={n_examples} must be at least 1, n_classes={n_classes} at least 2")
    if list(thresholds) != sorted(set(thresholds)):
        raise ValueError(f"thresholds={tuple(thresholds)} must rise")
    reached = sum(bool(n_examples / n_classes >= threshold) for threshold in thresholds)
    return "all" if reached and reached == len(thresholds) else reached
