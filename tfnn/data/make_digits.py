"""Makes digits.npz from scikit-learn's copy of the set: `python -m tfnn.data.make_digits`."""

import pathlib

import numpy as np

from tfnn.data.split import stratified

SIZES, SEED = (1257, 180, 360), 9520  # train, validation, test; the course number as seed


def arrays():
    """uint8 arrays: images (1797, 8, 8), 0 to 16; labels (1797,); parts (1797,), 0 train, 1 validation, 2 test."""
    from sklearn.datasets import load_digits

    source = load_digits()
    parts = stratified(source.target, SIZES, SEED)
    return {
        "images": source.images.astype(np.uint8),
        "labels": source.target.astype(np.uint8),
        "parts": parts.astype(np.uint8),
    }


if __name__ == "__main__":
    np.savez_compressed(pathlib.Path(__file__).with_name("digits.npz"), **arrays())
