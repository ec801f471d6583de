"""A private name, or one error that says which is missing."""

import importlib

import keras
import tensorflow as tf

from tfnn.startup import KERAS_READ, TENSORFLOW_READ


def part(thing, name):
    """The attribute of that name; NotImplementedError where there is none."""
    try:
        return getattr(thing, name)
    except AttributeError as error:
        owner = thing if isinstance(thing, type) else type(thing)
        raise missing(f"{owner.__module__}.{owner.__name__}.{name}") from error


def imported(module, name):
    """What a private module has under that name; NotImplementedError where there is none."""
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise missing(f"{module}.{name}") from error


def missing(name):
    return NotImplementedError(
        f"tfnn needs {name}, which is missing in Keras {keras.__version__} on TensorFlow {tf.__version__}: it was read against"
        f" Keras {KERAS_READ} and TensorFlow {TENSORFLOW_READ}"
    )
