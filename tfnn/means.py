"""The metrics of a compiled model that are means: their value on one batch follows from two readings.

Σ and n of a `keras.metrics.Mean` grow over an epoch; what a batch added is (Σ' − Σ)/(n' − n).
"""

import keras

from tfnn.internals.compiled import loss_mean, metrics_of


def means_of(model):
    """{name in the logs: metric} of the metrics given to `compile` whose result is Σ/n, the loss left out.

    A metric such as `AUC` or `RootMeanSquaredError` is none: what a batch added to it is not its value on that batch.
    """
    found = {}
    for output, metric in metrics_of(model):
        if isinstance(metric, keras.metrics.Mean) and type(metric).result is keras.metrics.Mean.result:
            found.setdefault(f"{output}_{metric.name}" if output else metric.name, metric)
    return found


def loss_of(model):
    """The `Mean` of the loss over examples, or None for a model that is not compiled."""
    return loss_mean(model)
