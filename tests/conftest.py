"""Environment of all tests, and what they share."""

import collections
import contextlib
import functools
import gc
import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pytest
from tensorflow.python.framework import ops

import tfnn
from tests import tiers
from tfnn.serving import gates


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Marks as slow what `tests/tiers.py` leaves out of the default tier; a case that is asked for by its name runs."""
    if any("[" in argument for argument in config.args):
        return
    cases = collections.defaultdict(dict)
    for item in items:
        function, _, case = item.nodeid.partition("[")
        cases[function][case.removesuffix("]")] = item
    for item in tiers.slow(cases):
        item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module", autouse=True)
def nothing_kept():
    """What a file of tests leaves behind would be searched by each later collection, to half a minute at a time.

    `model.fit` leaves a graph for each trace: TensorFlow keeps the gradients of every `tf.custom_gradient`, and the updates of
    Keras's optimizers make one. What then still lives is put beyond the collector's reach.
    """
    yield
    registered = ops.gradient_registry._registry
    for name in [name for name in registered if name.startswith("CustomGradient-")]:
        del registered[name]
    gc.collect()
    gc.freeze()


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


@pytest.fixture(scope="session", autouse=True)
def exports_share_one_verifier(verifier):
    """Starting TensorFlow anew for each export would take most of the tests' time. Of the session: fixtures export, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gates, "fresh_process", lambda format: contextlib.nullcontext(verifier(format)))
        yield
