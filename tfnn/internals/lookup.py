"""A private name, or one error that says which is missing."""

import importlib
import types

import keras
import tensorflow as tf

from tfnn.startup import KERAS_READ, TENSORFLOW_READ


def part(thing, name):
    """The attribute of that name; NotImplementedError where there is none."""
    try:
        return getattr(thing, name)
    except AttributeError as error:
        raise missing(f"{owner_of(thing)}.{name}") from error


def imported(module, name):
    """What a private module has under that name; NotImplementedError where there is none."""
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise missing(f"{module}.{name}") from error


def owner_of(thing):
    if isinstance(thing, types.ModuleType):
        return thing.__name__
    kind = thing if isinstance(thing, type) else type(thing)
    return f"{kind.__module__}.{kind.__name__}"


def missing(name):
    return NotImplementedError(
        f"tfnn needs {name}, which is missing in Keras {keras.__version__} on TensorFlow {tf.__version__}: it was read against"
        f" Keras {KERAS_READ} and TensorFlow {TENSORFLOW_READ}"
    )
