"""Recurrent layers that keep their state from batch to batch."""

import keras
import tensorflow as tf

from tfnn.internals.layers import layers_of


def build_states(forward, model, x, batch_size):
    """Builds a model that holds such layers and is not built yet.

    Their state has a row for each example of a batch, so Keras builds them where the size of batches is known alone: by a
    trace, not from shapes.

    Args:
        forward: a function of the inputs that calls the model.
        x: the inputs as tensor specs.
        batch_size: how many examples every batch has; where that is None nothing is built.
    """
    if batch_size is None or not any(getattr(layer, "stateful", False) and not layer.built for layer in layers_of(model)):
        return
    sized = keras.tree.map_structure(lambda a: a if a is None else tf.TensorSpec([batch_size, *a.shape[1:]], a.dtype), x)
    tf.function(forward, autograph=False).get_concrete_function(sized)
