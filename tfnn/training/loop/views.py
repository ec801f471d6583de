"""What `fit` shows of a run to callbacks that write it down."""

import itertools

import keras
import tensorflow as tf

from tfnn import random
from tfnn.controls import Views
from tfnn.distribute import device_type
from tfnn.training.graph.augmentation import augmented
from tfnn.training.graph.prediction import prediction_for


def views_of(run, source, validation, validation_steps, augmentation, settings):
    """The `Views` of a run: what it trains on, its graph, and its answers on the validation data.

    `source` is what the model reads, where the run may read features of it; `augmentation` is that of `fit(augment=...)`.
    """
    graph = run.graph

    def inputs():
        if run.source is not source:
            source.seek(run.source.passes)
        batch, examples = source.sample()
        layers = [layer for layer in augmentation if isinstance(layer, keras.layers.Layer)]
        state = [(variable, tf.identity(variable)) for layer in layers for variable in layer.variables]
        with random.scope(graph.controls.seed.value(), tf.constant(source.passes), examples):
            x, _, _ = augmented(augmentation, *keras.utils.unpack_x_y_sample_weight(batch))
        for variable, value in state:  # a layer that draws from a generator of its own must draw the same afterwards
            variable.assign(value)
        return x

    def predictions():
        answer = prediction_for(graph.compiled.model, validation)
        for batch in itertools.islice(validation, validation_steps):
            yield keras.utils.unpack_x_y_sample_weight(batch)[1], answer(batch)
        validation.close()

    where = {"device": device_type(graph.strategy), "jit_compile": graph.key.jit.on, "rebatch": graph.key.rebatches}
    name_of = lambda step: getattr(step, "name", None) or getattr(step, "__name__", str(step))
    return Views(
        settings=settings | {"augment": ", ".join(map(name_of, augmentation))} | where,
        graph=lambda: run.graph.traced_graph(),
        traces=lambda: run.traces,
        inputs=inputs,
        predictions=None if validation is None or validation.once else predictions,
    )
