"""Writes backbones.json, the facts that `tfnn.transfer.backbone` knows: `python -m tfnn.transfer.make_backbones`.

It calls the constructors of the installed Keras one by one, which takes 4 minutes of processor time and 6 GB of memory.
"""

import functools
import gc
import inspect
import json
import math
import pathlib
import warnings

import keras
import numpy as np

from tfnn.internals.applications import asked_file, asked_input_shape, preprocess_input_of
from tfnn.transfer.pixel_modes import MODES, preprocess
from tfnn.transfer.stages import stages

FILE = pathlib.Path(__file__).with_name("backbones.json")
SIZES = (96, 128, 160, 192, 224)  # MobileNet and MobileNetV2 have weights for each of these
# MobileNetV3 does not check its size with imagenet_utils; its weights are for 224
OWN_CHECK = {"default_size": 224, "min_size": 32}


def names():
    return sorted(name for name, part in vars(keras.applications).items() if inspect.isfunction(part))


def row(name):
    constructor = getattr(keras.applications, name)
    sizes = asked_sizes(constructor)
    default, minimum = sizes["default_size"], sizes["min_size"]
    mode = mode_of(constructor)
    keras.backend.clear_session()  # so that Keras numbers unnamed layers from the start
    model = made(constructor, input_shape=(default, default, 3), weights=None)
    colour = preparation(model)
    facts = {
        "input_size": default,
        "minimum_size": minimum,
        "any_channels": mode in ("inside", "tf")
        and colour == preparation(made(constructor, input_shape=(minimum, minimum, 1), weights=None)),
        "preprocessing": mode,
        "feature_layer": feature_layer(model),
        "features": model.output_shape[-1],
        "stages": {stage.name: stage.parameters for stage in stages(model)},
        "activations": activations(model),
        "files": files(constructor, default),
    }
    del model
    keras.backend.clear_session()
    gc.collect()
    return facts


def made(constructor, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # MobileNets warn of sizes without weights
        return constructor(include_top=False, pooling="avg", **arguments)


def asked_sizes(constructor):
    """The default and the smallest size against which a constructor checks its `input_shape`."""
    return asked_input_shape(lambda: made(constructor, input_shape=(512, 512, 3), weights=None)) or OWN_CHECK


def mode_of(constructor):
    """The mode that equals the `preprocess_input` in the constructor's module."""
    theirs = preprocess_input_of(constructor)
    pixels = np.random.RandomState(0).uniform(0, 255, (2, 3, 3, 3)).astype(np.float32)
    (mode,) = (mode for mode in MODES if np.allclose(preprocess(pixels, mode), theirs(pixels.copy()), atol=1e-5))
    return mode


def feature_layer(model):
    """The name of the last layer before the pooling."""
    return [layer.name for layer in model.layers if not isinstance(layer, keras.layers.GlobalAveragePooling2D)][-1]


def preparation(model):
    """The classes of the layers before the first trainable one."""
    kinds = []
    for layer in model.layers:
        if layer.trainable_weights:
            return kinds
        kinds.append(type(layer))


def activations(model):
    """How many numbers all layers together put out for one image."""
    return sum(activations(layer) if hasattr(layer, "layers") else math.prod(layer.output.shape[1:]) for layer in model.layers)


def files(constructor, default):
    """{input size: [name, URL, hash or None]} of the headless weights that the constructor asks for."""
    found = {}
    for size in [default, *SIZES]:
        entry = asked_file(functools.partial(made, constructor, input_shape=(size, size, 3), weights="imagenet"))
        if entry not in found.values():
            found[size] = entry
        if "mobilenet/" not in entry[1] and "mobilenet_v2/" not in entry[1]:
            break
    return found


def text(table):
    return json.dumps(table, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text({name: row(name) for name in names()}))
