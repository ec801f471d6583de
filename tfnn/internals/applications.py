"""What a constructor of `keras.applications` asks for, found by calling it."""

import importlib
import sys
from unittest import mock

from tfnn.internals.lookup import imported, part


def asked_input_shape(make):
    """The keywords by which `make()` checks its `input_shape`, or None where it does not. Keras 3.12 to 3.15; else raises."""
    call = first_call("keras.src.applications.imagenet_utils", "obtain_input_shape", make)
    return call and call.kwargs


def asked_file(make):
    """[name, URL, hash or None] of the weights that `make()` asks for, or None. Keras 3.12 to 3.15; else raises."""
    call = first_call("keras.src.utils.file_utils", "get_file", make)
    return call and [*call.args, call.kwargs.get("file_hash")]


def preprocess_input_of(constructor):
    """The function `preprocess_input` of the same network. Keras 3.12 to 3.15; else raises."""
    return part(sys.modules[constructor.__module__], "preprocess_input")


def first_call(module, function, make):
    """The call of a function that `make()` makes first, where it ends, or None."""

    class Found(Exception):
        pass

    imported(module, function)  # or the error that names it
    with mock.patch.object(importlib.import_module(module), function, side_effect=Found) as called:
        try:
            make()
        except Found:
            return called.call_args
    return None
