"""Loads an exported model, to ask it."""

import os
import pathlib

import numpy as np
import tensorflow as tf

from tfnn.data.pixels import FORMATS
from tfnn.serving import formats, manifest
from tfnn.serving.errors import essence


class Bundle:
    """A loaded version of an exported model. Every file is compared with its checksum first.

    Args:
        path: `NAME/VERSION/`; or `NAME/`, for the newest version.

    Attributes:
        path: the folder of the version.
        about: the content of `bundle.json`.
        labels: the names of the classes, or None.

    Raises:
        FileNotFoundError: if there is no SavedModel.
        ValueError: if the bundle is damaged, or was not written by `tfnn.export`.

    Example:
        >>> bundle = tfnn.serving.Bundle("saved_models/digits")
        >>> bundle.path, bundle.labels
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = newest(pathlib.Path(path))
        self.about = manifest.verified(self.path)
        format = self.about.get("format_of_model", formats.SAVED_MODEL)
        if format != formats.SAVED_MODEL:
            raise ValueError(f"{self.path}: is in format {format}; tfnn answers with SavedModels alone")
        labels = self.about["labels"]
        self.labels = (self.path / labels).read_text(encoding="utf-8").splitlines() if labels else None
        try:
            self.loaded = tf.saved_model.load(str(self.path))
        except Exception as error:  # TensorFlow reports what it cannot load by errors of many kinds
            raise ValueError(f"{self.path}: this SavedModel cannot be loaded ({str(error).splitlines()[0]})") from None

    def ask(self, signature, **inputs):
        """Calls a signature with the inputs, arrays by name, and returns {output: numpy array}.

        Raises:
            ValueError: if there is no such signature, or the inputs do not fit it.
        """
        if signature not in self.loaded.signatures:
            raise ValueError(f"{self.path}: no signature {signature}; there are {', '.join(self.about['signatures'])}")
        function = self.loaded.signatures[signature]
        specs = function.structured_input_signature[1]
        if inputs.keys() != specs.keys():
            raise ValueError(f"{signature} takes {', '.join(specs)}, not {', '.join(inputs) or 'nothing'}")
        try:
            return {name: answer.numpy() for name, answer in function(**cast(inputs, specs)).items()}
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(f"{signature} cannot take these inputs ({essence(error)})") from None

    def classify(self, encoded):
        """[(class name, probability)] of one encoded image, the most probable first.

        Raises:
            ValueError: if the bytes are not a readable image, or the bundle does not name classes of images.
        """
        if self.labels is None or "image_bytes" not in self.about["signatures"]:
            raise ValueError(f"{self.path}: does not name classes of encoded images")
        answer = self.ask("image_bytes", image_bytes=[encoded])
        if not answer["ok"][0]:
            raise ValueError(f"not a readable {FORMATS} image")
        return ranked(self.labels, answer["probabilities"][0])


def ranked(labels, probabilities):
    """[(label, probability)], the most probable first."""
    order = np.argsort(-probabilities, kind="stable")
    return [(labels[place], float(probabilities[place])) for place in order]


def cast(inputs, specs):
    try:
        tensors = {name: tf.constant(inputs[name], spec.dtype) for name, spec in specs.items()}
    except (TypeError, ValueError) as error:
        raise ValueError(f"inputs cannot be taken: {' '.join(str(error).split())}") from None
    for name, spec in specs.items():
        if not spec.shape.is_compatible_with(tensors[name].shape):
            raise ValueError(f"{name} has shape {tuple(tensors[name].shape)}, wanted {tuple(spec.shape)}")
    return tensors


def newest(path):
    """The path itself if it is a `NAME/VERSION`, else the version with the highest number in `NAME`.

    Example:
        >>> version = tfnn.serving.newest(pathlib.Path("saved_models/digits"))
    """
    if is_version(path):
        return path
    versions = [child for child in path.glob("*") if child.name.isdecimal() and is_version(child)]
    if not versions:
        raise FileNotFoundError(f"{path}: no SavedModel here, nor in numbered folders below")
    return max(versions, key=lambda child: int(child.name))


def is_version(path):
    return any((path / name).is_file() for name in ("saved_model.pb", manifest.NAME))
