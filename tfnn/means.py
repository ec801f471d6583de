"""The metrics of a compiled model that are means: their value on one batch follows from two readings.

Σ and n of a `keras.metrics.Mean` grow over an epoch; what a batch added is (Σ' − Σ)/(n' − n). Keras has no public names
for where `compile` keeps its metrics.
"""

import keras


def means_of(model):
    """{name in the logs: metric} of the metrics given to `compile` whose result is Σ/n, the loss left out.

    A metric such as `AUC` or `RootMeanSquaredError` is none: what a batch added to it is not its value on that batch.
    """
    found, compiled = {}, model._compile_metrics
    for group in [*compiled._flat_metrics, *compiled._flat_weighted_metrics] if compiled and compiled.built else []:
        for metric in group.metrics if group else []:
            name = f"{group.output_name}_{metric.name}" if group.output_name else metric.name
            if isinstance(metric, keras.metrics.Mean) and type(metric).result is keras.metrics.Mean.result:
                found.setdefault(name, metric)
    return found


def loss_of(model):
    """The `Mean` of the loss over examples, or None for a model that is not compiled."""
    return model._loss_tracker
