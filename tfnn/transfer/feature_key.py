"""Makes a key of all that the features of images depend on: if two keys are equal, so are the features.

There is no key if something that they depend on cannot be described.
"""

import hashlib
import json

import keras
import numpy as np
import tensorflow as tf

from tfnn.internals.functional import calls_of, is_functional, origin_of
from tfnn.internals.layers import layers_of
from tfnn.training.graph.xla import own_code
from tfnn.training.resume.fingerprint import digest
from tfnn.version import __version__


def key_of(known, x, copies):
    """SHA-256, in hexadecimal, of a `description`, the pixels, and the number of augmented copies."""
    return hashlib.sha256(f"{known} {digest(x)} {copies}".encode()).hexdigest()


def description(body, steps, seed):
    """A text of all that features depend on, except the pixels: layers, weights, augmentation and package versions.

    None if a layer runs a user's code, or an operation has a setting that `described` does not know.
    """
    if any(map(own_code, [*layers_of(body), *steps])):
        return None
    weights = digest([weight.numpy() for weight in body.weights])
    try:
        form = [form_of(body), [form_of(step) for step in steps], seed if steps else None]
        return json.dumps([*form, weights, __version__, keras.__version__, tf.__version__], default=described)
    except (NotImplementedError, TypeError):  # from Keras and from `described`
        return None


def form_of(operation):
    """Kind, settings and connections, but no names: Keras counts them up, so the same model built again has others."""
    kind = f"{type(operation).__module__}.{type(operation).__name__}"
    if is_functional(operation):
        calls = calls_of(operation)
        place = {id(call.node): index for index, call in enumerate(calls)}
        source = lambda node, index: [place[id(node)], index]
        tensor = lambda value: source(*origin_of(value)) if isinstance(value, keras.KerasTensor) else value
        given = [keras.tree.map_structure(tensor, call.arguments) for call in calls]
        ends = [tensor(output) for output in operation.outputs]
        return [kind, [[form_of(call.operation), arguments] for call, arguments in zip(calls, given)], ends]
    if isinstance(operation, keras.Sequential):
        return [kind, [form_of(layer) for layer in operation.layers]]
    return [kind, {name: value for name, value in operation.get_config().items() if name not in ("name", "trainable")}]


def described(value):
    """Describes a value that JSON cannot hold by one that it can."""
    if value is Ellipsis:
        return "..."
    if isinstance(value, slice):
        return ["slice", value.start, value.stop, value.step]
    if isinstance(value, (np.ndarray, np.generic)) or tf.is_tensor(value):
        return digest(value)
    if hasattr(value, "get_config"):
        return [type(value).__name__, value.get_config()]
    raise TypeError(f"{value!r} has no form that is the same in another process")
