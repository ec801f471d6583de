"""A model that numpy can follow, and what was written, read back as the program tensorboard reads it."""

import keras
import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

import tfnn

RNG = np.random.RandomState(3)
X, Y = RNG.normal(size=(44, 3)).astype(np.float32), RNG.normal(size=(44, 1)).astype(np.float32)
UPDATES = 6  # of an epoch in batches of 8, the last of 4


def linear(optimizer=None):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="ones", name="dense")])
    model.compile(optimizer or tfnn.optimizers.SGD(0.1), "mse", metrics=["mae", keras.metrics.RootMeanSquaredError()])
    return model


def reference(size, epochs, rate=0.1):
    """Plain SGD in numpy over the rows in order: for each update what was so before it, and the step that it made."""
    w, b, rows = np.ones((3, 1)), np.zeros(1), []
    for _ in range(epochs):
        for start in range(0, len(X), size):
            x, y = X[start : start + size], Y[start : start + size]
            error = x @ w + b - y
            by_w, by_b = 2 * x.T @ error / len(x), 2 * error.mean(0)
            gradient, weight = (np.sqrt(np.sum(p**2) + np.sum(q**2)) for p, q in ((by_w, by_b), (w, b)))
            row = {"loss": np.mean(error**2), "mae": np.mean(np.abs(error)), "gradient_norm": gradient, "learning_rate": rate}
            w, b = w - rate * by_w, b - rate * by_b
            after = np.sqrt(np.sum(w**2) + np.sum(b**2))
            rows.append(row | {"update_ratio": rate * gradient / weight, "weight_norm": after})
    return rows


def reader(directory):
    accumulator = EventAccumulator(str(directory), size_guidance={"tensors": 0})
    accumulator.Reload()
    return accumulator


def tensors(directory):
    """{tag: [(step, array)]}"""
    found = reader(directory)
    return {
        tag: [(event.step, tf.make_ndarray(event.tensor_proto)) for event in found.Tensors(tag)]
        for tag in found.Tags()["tensors"]
    }


def scalars(directory):
    """{tag: {step: number}}, no step twice."""
    found = {}
    for tag, events in tensors(directory).items():
        if events[0][1].dtype == np.float32 and events[0][1].ndim == 0:
            assert len({step for step, _ in events}) == len(events), tag
            found[tag] = {step: float(value) for step, value in events}
    return found
