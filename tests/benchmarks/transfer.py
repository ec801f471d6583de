"""A head on a frozen MobileNetV2, 500 images of 224×224, 10 epochs: `tfnn.fit` with a `FeatureCache` against `model.fit`.

Weights are random and the images noise: it is the time that counts. Every run is that of a new model, traces included. The
second row compares an epoch with that of a run that goes on, features known and everything traced.
"""

import time

import keras
import numpy as np

import tfnn
from tests.benchmarks.timing import Row, seconds

IMAGES, SIDE, EPOCHS, CLASSES = 500, 224, 10, 5


def classifier():
    keras.utils.set_random_seed(0)
    model = tfnn.transfer.classifier("MobileNetV2", CLASSES, (SIDE, SIDE, 3))
    model.compile(tfnn.optimizers.SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class EpochTimes(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.began)


def rows():
    random = np.random.default_rng(0)
    x, y = random.integers(0, 256, (IMAGES, SIDE, SIDE, 3), np.uint8), random.integers(0, CLASSES, IMAGES)
    ours, theirs = EpochTimes(), EpochTimes()
    model, other, cache = classifier(), classifier(), tfnn.transfer.FeatureCache()
    a = seconds(lambda: tfnn.fit(model, x, y, epochs=EPOCHS, verbose=0, seed=1, cache=cache))
    b = seconds(lambda: other.fit(x, y, epochs=EPOCHS, verbose=0, callbacks=[theirs]))
    yield Row("head on MobileNetV2, 10 epochs", "model.fit, frozen (asked 8)", a, b, "s", b / a)
    tfnn.fit(model, x, y, epochs=EPOCHS, verbose=0, seed=1, cache=cache, callbacks=[ours])
    a, b = (float(np.median(one.seconds[1:])) * 1e3 for one in (ours, theirs))
    yield Row("the same, an epoch that follows", "model.fit, frozen (asked 50)", a, b, "ms/epoch", b / a)
