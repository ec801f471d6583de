"""What an extra brings along: no TensorFlow but that of the device, as one that is installed over another breaks it."""

import configparser
import importlib.metadata
import pathlib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SETUP = configparser.ConfigParser()
SETUP.read(pathlib.Path(__file__).parents[1] / "setup.cfg")
OPTIONS, EXTRAS = SETUP["options"], SETUP["options.extras_require"]
TENSORFLOWS = {"tensorflow", "tensorflow-cpu", "tensorflow-gpu", "tensorflow-intel", "tensorflow-tpu", "tf-nightly"}


def brought(lines, extra=""):
    """Names of what the requirements bring, and of what these bring in turn, as far as they are installed."""
    new = {}
    for requirement in (Requirement(line) for line in lines if not line.lstrip().startswith("#")):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            new[canonicalize_name(requirement.name)] = requirement.extras or {""}
    names = {}
    while new:
        name, extras = new.popitem()
        names[name] = extras
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for requirement in map(Requirement, lines):
            after = canonicalize_name(requirement.name)
            wanted = requirement.marker is None or any(requirement.marker.evaluate({"extra": each}) for each in extras)
            if wanted and after not in names:
                new[after] = requirement.extras or {""}
    return set(names)


@pytest.mark.parametrize("extra", [name for name in EXTRAS if name not in ("cpu", "gpu", "tpu")])
def test_an_extra_that_is_no_device_s_brings_no_tensorflow(extra):
    assert not brought(EXTRAS[extra].strip().splitlines()) & TENSORFLOWS


def test_what_is_always_installed_brings_no_tensorflow():
    assert not brought(OPTIONS["install_requires"].strip().splitlines()) & TENSORFLOWS


def test_it_would_be_seen():
    assert brought(EXTRAS["cpu"].strip().splitlines()) & TENSORFLOWS == {"tensorflow"}
    assert {"h5py", "numpy"} <= brought(["keras"])  # what others bring is followed


def test_what_serving_s_messages_would_bring():
    """Why no extra names `tensorflow-serving-api`."""
    pytest.importorskip("tensorflow_serving", reason="pip install --no-deps tensorflow-serving-api")
    assert "tensorflow" in brought(["tensorflow-serving-api"])
