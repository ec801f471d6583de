"""The embedding projector: which tables there are, and their rows."""

import os

import keras
import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from tensorboard.plugins import projector

from tfnn.internals.layers import layers_of


def layers(model):
    """The model's `Embedding` layers, those inside models too."""
    return [layer for layer in layers_of(model, include_self=True) if isinstance(layer, keras.layers.Embedding)]


def check(model, metadata):
    """Refuses names in `metadata` of layers that are not there."""
    names = [layer.name for layer in layers(model)]
    for name in metadata if isinstance(metadata, dict) else ():
        if name not in names:
            raise ValueError(f"embeddings_metadata names {name!r}, which is no Embedding of the model: {names or 'none'}")


def write(model, directory, metadata):
    """The tables as they are now, with the file that tells the projector of them.

    As TSV: the projector cannot read the `.weights.h5` of Keras's callback.
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
