"""Data sets that Keras downloads and caches."""

import keras
import numpy as np

from tfnn.data.dataset import Dataset, Part
from tfnn.data.split import stratified

DIGITS = tuple("0123456789")
CLOTHES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def mnist() -> Dataset:
    """70,000 handwritten digits, 28×28 grey (LeCun et al. 1998).

    Example:
        >>> data = tfnn.data.mnist()  # downloaded once, by Keras
    """
    return known("mnist", DIGITS)


def fashion_mnist() -> Dataset:
    """70,000 articles of clothing, 28×28 grey (Xiao et al. 2017).

    Example:
        >>> data = tfnn.data.fashion_mnist()
    """
    return known("fashion_mnist", CLOTHES)


def cifar10() -> Dataset:
    """60,000 photographs of 10 classes, 32×32 RGB (Krizhevsky 2009).

    Example:
        >>> data = tfnn.data.cifar10()
    """
    return known("cifar10", CIFAR10)


def cifar100() -> Dataset:
    """60,000 photographs of 100 classes, 32×32 RGB (Krizhevsky 2009); classes are named by number.

    Example:
        >>> data = tfnn.data.cifar100()
    """
    return known("cifar100", tuple(map(str, range(100))))


def known(name, class_names):
    """One of `keras.datasets`, with a tenth of its training part held out for validation.

    Raises:
        ConnectionError: if the set is not in Keras's cache and cannot be downloaded.
    """
    try:
        arrays = getattr(keras.datasets, name).load_data()
    except Exception as error:  # Keras raises a bare Exception for a failed download
        raise ConnectionError(
            f"{name} is not in Keras's cache (~/.keras/datasets) and cannot be downloaded: it needs a network the first"
            f" time, which digits do not ({str(error).splitlines()[0]})"
        ) from None
    train, test = (Part(x[..., None] if x.ndim == 3 else x, np.ravel(y).astype(np.int32)) for x, y in arrays)
    train, validation = hold_out(train)
    return Dataset(name, class_names, train, validation, test, (0, 255))


def hold_out(part, share=10):
    """Splits `part` into (the rest, one `share`-th), stratified by class; the split is always the same."""
    held = max(1, len(part.y) // share)
    where = stratified(part.y, [len(part.y) - held, held], seed=0)
    return part.select(np.flatnonzero(where == 0)), part.select(np.flatnonzero(where == 1))
