"""Real handwritten digits, shipped with the package."""

import importlib.resources

import numpy as np

from tfnn.data.dataset import Dataset, Part
from tfnn.data.ink import light_ink


def digits() -> Dataset:
    """1,797 handwritten digits, 8×8 pixels of 0 (paper) to 16 (ink), split 1,257 / 180 / 360 by class.

    The set is "Optical Recognition of Handwritten Digits" (test part) by E. Alpaydin and C. Kaynak, UCI Machine Learning
    Repository, 1998, doi:10.24432/C50P49, licence CC BY 4.0. The images are light ink on a dark ground and fill their
    frame; `Dataset.prepare` brings a photograph of dark ink on light paper to that form. `tfnn/data/make_digits.py`
    made the file.

    Example:
        >>> data = tfnn.data.digits()
        >>> x, y = data.train.x / 16, data.train.y
    """
    with importlib.resources.files("tfnn.data").joinpath("digits.npz").open("rb") as file, np.load(file) as stored:
        images, labels, parts = stored["images"][..., None], stored["labels"].astype(np.int32), stored["parts"]
    train, validation, test = (Part(images[parts == part], labels[parts == part]) for part in range(3))
    return Dataset("digits", tuple("0123456789"), train, validation, test, (0, 16), light_ink)
