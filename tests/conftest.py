"""Environment of all tests, and what they share."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pytest

import tfnn


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(1)
    keras.config.enable_interactive_logging()  # which tests of Keras's own switch off


@pytest.fixture(scope="session")
def digits():
    return tfnn.data.digits()


@pytest.fixture(scope="session")
def xy(digits):
    """200 digits, flat, 0 to 1, with labels: enough to train on in a blink; no multiple of the usual batch sizes."""
    return digits.train.x[:200].reshape(200, 64).astype(np.float32) / 16, digits.train.y[:200]
