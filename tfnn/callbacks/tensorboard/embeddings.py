"""Writes the tables of embeddings, and their rows' names, for the embedding projector."""

import os

import keras
import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from tensorboard.plugins import projector

from tfnn.internals.layers import layers_of


def layers(model):
    """The model's `Embedding` layers, including those inside nested models."""
    return [layer for layer in layers_of(model, include_self=True) if isinstance(layer, keras.layers.Embedding)]


def check(model, metadata):
    """Refuses `metadata` that name layers which do not exist."""
    names = [layer.name for layer in layers(model)]
    for name in metadata if isinstance(metadata, dict) else ():
        if name not in names:
            raise ValueError(f"embeddings_metadata names {name!r}, which is no Embedding of the model: {names or 'none'}")


def write(model, directory, metadata):
    """Writes the tables as they are now, and the file that lists them for the projector.

    The tables are TSV files, as the projector cannot read the `.weights.h5` of Keras's callback.
    """
    config = projector.ProjectorConfig()
    for layer in layers(model):
        path = f"embedding-{layer.name}.tsv"
        known = metadata.get(layer.name) if isinstance(metadata, dict) else metadata
        config.embeddings.add(tensor_name=layer.name, tensor_path=path, metadata_path=known and str(known))
        with tf.io.gfile.GFile(os.path.join(directory, path), "w") as file:
            for row in np.asarray(layer.embeddings):
                file.write("\t".join(map(str, row.tolist())) + "\n")
    with tf.io.gfile.GFile(os.path.join(directory, "projector_config.pbtxt"), "w") as file:
        file.write(text_format.MessageToString(config))
