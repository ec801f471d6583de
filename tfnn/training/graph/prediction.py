"""The traced outputs of a model."""

import functools

import keras
import tensorflow as tf

from tfnn.training.graph.compiled import call, overrides
from tfnn.training.graph.held import held, hold
from tfnn.training.graph.loops import runs_eagerly
from tfnn.training.graph.snapshot import Snapshot
from tfnn.training.graph.states import build_states


def prediction_for(model, source):
    """The trace of the model's outputs for the batches of a source: that of an earlier call, or a new one."""

    def outputs(batch):
        if overrides(model, "predict_step"):
            return model.predict_step(batch)
        return call(model, keras.utils.unpack_x_y_sample_weight(batch)[0], training=False)

    if runs_eagerly(model):
        return outputs
    build_states(lambda x: call(model, x, training=False), model, source.spec[0], source.static_batch)
    earlier = held(model, "prediction")
    if earlier and not earlier[0].difference(model):
        return earlier[1].get_concrete_function(source.batch_spec)
    function = tf.function(functools.partial(outputs), autograph=False)
    traced = function.get_concrete_function(source.batch_spec)
    hold(model, "prediction", (Snapshot(model), function))
    return traced
