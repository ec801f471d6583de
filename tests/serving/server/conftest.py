"""One server that the tests of this folder share, and the model behind it."""

import keras
import numpy as np
import pytest

import tfnn


def network(seed, shape=(6, 5, 1)):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])


def publish(model, folder, **options):
    return tfnn.export(model, folder, labels=("ant", "bee", "cat"), preprocess=lambda x: x / 255, **options)


def pictures(shape=(4, 6, 5, 1), seed=0):
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


@pytest.fixture(scope="session")
def model():
    return network(1)


@pytest.fixture(scope="session")
def table():
    """A model of two named inputs and one number."""
    keras.utils.set_random_seed(4)
    inputs = [keras.Input((3,), name="sizes"), keras.Input((2,), name="weights")]
    output = keras.layers.Dense(1, name="price")(keras.layers.Concatenate()(inputs))
    return keras.Model(inputs, {"price": output})


@pytest.fixture(scope="session")
def served(tmp_path_factory, model, table):
    """A server that all tests may ask, and none may end."""
    pytest.importorskip("mlserver", reason="tfnn serve needs the extra serve")
    from tests.serving.server.running import Running

    folder = tmp_path_factory.mktemp("served")
    publish(model, folder / "models" / "m")
    tfnn.export(table, folder / "models" / "table", labels=())
    limits = ["--batch-size", 16, "--max-body", 1, "--max-pixels", 100_000]
    running = Running(folder / "models", folder / "log", *limits)
    yield running
    assert running.stop() == 0, running.log
