"""How a bundle was made: versions, commit, arguments."""

import datetime
import importlib.metadata
import platform
import subprocess

import keras
import numpy as np
import tensorflow as tf

from tfnn.version import __version__


def versions():
    return {
        "python": platform.python_version(),
        "tfnn": __version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
        "protobuf": importlib.metadata.version("protobuf"),
    }


def commit():
    """The commit of the working directory's repository, with "-dirty" if files differ from it; None outside a repository."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def now():
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def words(argument):
    """An argument of `export` as JSON: functions by name, Keras layers by their configuration."""
    if argument is None or isinstance(argument, (bool, int, float, str)):
        return argument
    if isinstance(argument, (list, tuple)):
        return [words(each) for each in argument]
    if isinstance(argument, keras.layers.Layer):
        return {"class": type(argument).__name__, "config": plain(argument.get_config())}
    name = getattr(argument, "__qualname__", type(argument).__qualname__)
    return f"{getattr(argument, '__module__', type(argument).__module__)}.{name}"


def plain(value):
    """Turns a value that may hold numpy numbers and arrays into JSON."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
