"""Environment of all tests, and what they share."""

import contextlib
import functools
import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pytest

import tfnn
from tfnn.serving import gates


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


@pytest.fixture(scope="session")
def verifier():
    """Gives the process that checks exported models of a format, started when it is first asked for."""
    with contextlib.ExitStack() as stack:
        fresh_process = gates.fresh_process
        yield functools.cache(lambda format: stack.enter_context(fresh_process(format)))


@pytest.fixture(autouse=True)
def exports_share_one_verifier(monkeypatch, verifier):
    """Starting TensorFlow anew for each export would take most of the tests' time."""
    monkeypatch.setattr(gates, "fresh_process", lambda format: contextlib.nullcontext(verifier(format)))
