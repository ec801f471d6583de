"""Finds the metrics of a compiled model that are means, so that their value on a single batch can be read.

The sum Σ and the count n of a `keras.metrics.Mean` grow over an epoch. Read before and after a batch, they give the mean
over that batch alone: (Σ' − Σ)/(n' − n).
"""

import keras

from tfnn.internals.compiled import loss_mean, metrics_of


def means_of(model):
    """{name in the logs: metric} of the metrics given to `compile` whose result is Σ/n, the loss left out.

    `AUC` and `RootMeanSquaredError`, for example, are left out: the change that a batch makes to them is not their value on
    that batch.
    """
    found = {}
    for output, metric in metrics_of(model):
        if isinstance(metric, keras.metrics.Mean) and type(metric).result is keras.metrics.Mean.result:
            found.setdefault(f"{output}_{metric.name}" if output else metric.name, metric)
    return found


def loss_of(model):
    """The `Mean` of the loss over examples, or None for a model that is not compiled."""
    return loss_mean(model)
