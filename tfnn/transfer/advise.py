"""Advises how many stages to retrain."""

from collections.abc import Sequence


def advise(n_examples: int, n_classes: int, thresholds: Sequence[int] = (20, 100, 500, 2000)) -> int | str:
    """How many of a backbone's last stages to retrain with the head, by the number of examples per class.

    "The bigger your data set, the more layers you have to retrain" (lecture, section 7): few examples cannot correct many
    weights, many can. The lecture gives the direction but no numbers. Those here are a starting point; the validation part
    decides. They are not measured, because no pretrained weights were available for the networks they are meant for. On a
    small network (`tfnn transfer --demo`) one stage of three is best with one example per class, two with two, all with five
    and more.

    Args:
        n_examples: the number of training examples.
        n_classes: the number of classes.
        thresholds: rising numbers of examples per class: k stages from the k-th threshold on, all stages from the last.

    Returns:
        An int, or "all".

    Raises:
        ValueError: if there are no examples or fewer than two classes, or if the thresholds do not rise.

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
