"""Loads a backbone's weights from a file, a run's folder or a bundle, which hold it alone or within a model."""

import collections
import contextlib
import itertools
import os
import pathlib
import textwrap
import zipfile

import h5py
import keras
import numpy as np
import tensorflow as tf

from tfnn.internals.files import name_in_files
from tfnn.internals.tensorflow import keys_in
from tfnn.transfer.pixel_modes import DEVIATION
from tfnn.transfer.stage_model import StageModel
from tfnn.transfer.stages import stages

KINDS = "a .keras, .weights.h5 or .h5 file, the folder of a run, or a bundle"


def load_weights(model: keras.Model, path: str | os.PathLike) -> None:
    """Loads the weights at `path` into a backbone.

    Args:
        model: the backbone, built.
        path: a `.keras` or `.weights.h5` file of the backbone or of a model that contains it; a `.h5` file as Keras
            downloads it; the folder of a run, which holds `model.keras`; or a bundle, `NAME/VERSION/` or `NAME/`,
            exported with `freeze=False, fold_batchnorm=False` from layers of the same names.

    Raises:
        FileNotFoundError: if there is nothing at `path`.
        ValueError: if the weights are of another architecture (the first difference is named), if a bundle is frozen, so
            that its weights are constants, or if `path` is none of the above.

    Example:
        >>> model.save("model.keras")
        >>> tfnn.transfer.load_weights(keras.models.clone_model(model), "model.keras")
    """
    file = source(path)
    try:
        if file.is_dir():
            from_bundle(model, file)
        elif file.name.endswith((".keras", ".weights.h5")):
            from_keras(model, file)
        else:
            model.load_weights(file)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, tf.errors.OpError) as error:  # h5py raises many kinds
        text = textwrap.shorten(str(error), 300)
        raise ValueError(f"{file}: no weights for {model.name}: {text}") from None
    mend_normalization(model)


def source(path):
    """The file, or the folder of a SavedModel, from which to read the weights."""
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(f"weights={str(path)!r}: no such file; wanted is 'imagenet', {KINDS}")
    if path.is_file():
        if path.suffix not in (".keras", ".h5"):
            raise ValueError(f"weights={str(path)!r} must be 'imagenet', {KINDS}")
        return path
    if (path / "model.keras").is_file():
        return path / "model.keras"
    versions = [child for child in path.iterdir() if child.name.isdecimal() and (child / "saved_model.pb").is_file()]
    found = path if (path / "saved_model.pb").is_file() else max(versions, key=lambda child: int(child.name), default=None)
    if found is None:
        raise ValueError(f"{path}: neither the folder of a finished run (no model.keras) nor a bundle (no saved_model.pb)")
    return found


def from_keras(model, path):
    """Finds the layers of `model` anywhere in the file. Keras numbers them there by kind and order, and stores no names."""
    with contextlib.ExitStack() as stack:
        file = path
        if path.suffix == ".keras":
            file = stack.enter_context(stack.enter_context(zipfile.ZipFile(path)).open("model.weights.h5"))
        file = stack.enter_context(h5py.File(file))
        names = []
        file.visit(names.append)
        differences = []
        places = [name for name in names if name.split("/")[-1] == "layers"]
        for place, paths in itertools.product(places, (leaves(model.layers), leaves_of_stages(model))):
            stored = {layer: values(file.get(f"{place}/{below}/vars", {})) for layer, below in paths}
            wrong = [layer for layer in stored if [v.shape for v in stored[layer]] != [w.shape for w in layer.weights]]
            if not wrong:
                for layer in stored:
                    layer.load_own_variables({str(index): value[()] for index, value in enumerate(stored[layer])})
                return
            same_kinds = sum(len(stored[layer]) == len(layer.weights) for layer in stored)
            differences.append((len(wrong) - same_kinds, wrong[0], stored[wrong[0]], f"{len(wrong)} of {len(stored)}"))
    if not differences:
        raise ValueError("it holds no layers")
    _, layer, found, count = min(differences, key=lambda difference: difference[0])
    wanted, found = (", ".join(str(tuple(one.shape)) for one in some) or "nothing" for some in (layer.weights, found))
    raise ValueError(f"layer {layer.name} wants {wanted}, the file holds {found} ({count} layers differ)")


def leaves(layers):
    """[(layer, its path in a Keras file)] of the layers with weights: kinds in snake case, numbered from the second on."""
    count, found = collections.Counter(), []
    for layer in layers:
        name = numbered(name_in_files(type(layer)), count)
        if hasattr(layer, "layers"):
            found += [(leaf, f"{name}/layers/{path}") for leaf, path in leaves(layer.layers)]
        elif layer.weights:
            found.append((layer, name))
    return found


def leaves_of_stages(model):
    """The same for a file of a `tfnn.transfer.classifier`, in which each stage of the backbone is a model."""
    count, kind = collections.Counter(), name_in_files(StageModel)
    places = [(numbered(kind, count), stage.layers) for stage in stages(model)]
    return [(leaf, f"{place}/layers/{path}") for place, layers in places for leaf, path in leaves(layers)]


def numbered(kind, count):
    count[kind] += 1
    return f"{kind}_{count[kind] - 1}" if count[kind] > 1 else kind


def values(group):
    return [group[str(index)] for index in range(len(group))]


def from_bundle(model, path):
    """Reads variables by their names from a bundle that was exported with `freeze=False, fold_batchnorm=False`."""
    reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    keys = keys_in(reader)
    if not keys:
        raise ValueError(
            "this bundle is frozen: its weights are constants; give the run's folder, its model.keras, or a bundle that was"
            " exported with freeze=False, fold_batchnorm=False (tfnn export --no-freeze --no-fold)"
        )
    shapes = reader.get_variable_to_shape_map()
    held = {name: tuple(shapes[key]) for name, key in keys.items()}
    for weight in model.weights:
        if held.get(weight.path) != tuple(weight.shape) and not unread(weight):
            found = held.get(weight.path, "none of that name")
            raise ValueError(f"weight {weight.path} wants {tuple(weight.shape)}, the bundle holds {found}")
    for weight in model.weights:
        if not unread(weight):
            weight.assign(reader.get_tensor(keys[weight.path]))


def unread(weight):
    """Whether predictions do not read the weight, so that bundles do not hold it."""
    return weight.path.split("/")[-1] == "count"


def mend_normalization(model):
    """Squares the variance of a `Normalization` layer if it holds ImageNet's standard deviation instead.

    So it is in Keras's weights of EfficientNetB0 to B7. Their constructor corrects it by a second `Rescaling`, but only with
    weights="imagenet" (tensorflow/tensorflow#49930), so weights that are loaded otherwise would give other features.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            mean, variance, count = layer.get_weights()
            if variance.size == 3 and np.allclose(variance.ravel(), DEVIATION, rtol=1e-5):
                layer.load_own_variables({"0": mean, "1": variance**2, "2": count})
