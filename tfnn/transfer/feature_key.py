"""What the features of images depend on, as a key: two keys are the same only where the features are."""

import hashlib
import json

import keras
import tensorflow as tf

from tfnn.training.fingerprint import digest
from tfnn.transfer.stages import nodes_of
from tfnn.version import __version__


def key_of(known, x, copies):
    """SHA-256, in hexadecimal, of a `description`, the pixels, and how many augmented copies of them there are."""
    return hashlib.sha256(f"{known} {digest(x)} {copies}".encode()).hexdigest()


def description(body, steps, seed):
    """What features depend on but for the pixels: layers, weights, augmentation, and the versions of what computes them."""
    augmentation = [form_of(step) for step in steps], seed if steps else None
    weights = digest([weight.numpy() for weight in body.weights])
    return json.dumps([form_of(body), weights, augmentation, __version__, keras.__version__, tf.__version__], default=str)


def form_of(operation):
    """Kind, settings and connections. Without names, which Keras counts up: the same model, built again, has others."""
    kind = f"{type(operation).__module__}.{type(operation).__name__}"
    if hasattr(operation, "_nodes_by_depth"):
        place, calls = {}, []
        for node in nodes_of(operation):
            place.setdefault(node.operation, len(place))
            numbers = [a for a in keras.tree.flatten([node.arguments.args, node.arguments.kwargs]) if is_plain(a)]
            calls.append([place[node.operation], [place[parent.operation] for parent in node.parent_nodes], numbers])
        return [kind, calls, [form_of(one) for one in place]]
    if isinstance(operation, keras.Sequential):
        return [kind, [form_of(layer) for layer in operation.layers]]
    config = operation.get_config() if isinstance(operation, keras.layers.Layer) else {}
    return [kind, {name: value for name, value in config.items() if name not in ("name", "trainable")}]


def is_plain(argument):
    return argument is None or isinstance(argument, (bool, int, float, str))
