"""Small models of every kind that `model.fit` trains."""

import keras
import numpy as np
import tensorflow as tf

import tfnn
from tests.training.oracle import LAYERS, X, Y, dense


def images(*after_convolution):
    """A convolutional model; `after_convolution` are functions, as each run makes its own layers."""
    first = [keras.Input((6,)), LAYERS.Reshape((3, 2, 1)), LAYERS.Conv2D(4, 2, padding="same", use_bias=False)]
    return keras.Sequential([*first, *(make() for make in after_convolution), LAYERS.Flatten(), LAYERS.Dense(3, "softmax")])


def two_headed():
    inputs = {"a": keras.Input((6,), name="a"), "b": keras.Input((6,), name="b")}
    x = LAYERS.Dense(8, "relu")(inputs["a"] + inputs["b"])
    heads = {"kind": LAYERS.Dense(3, "softmax", name="kind")(x), "odd": LAYERS.Dense(1, "sigmoid", name="odd")(x)}
    return keras.Model(inputs, heads)


def masked():
    """Two outputs behind a mask, of which Keras's losses and metrics leave out what it covers."""
    inputs = keras.Input((6,), dtype="int32")
    x = LAYERS.LSTM(4, return_sequences=True)(LAYERS.Embedding(9, 4, mask_zero=True)(inputs))
    return keras.Model(inputs, {"kind": LAYERS.Dense(3, "softmax", name="kind")(x), "size": LAYERS.Dense(1, name="size")(x)})


MASKED = {
    "loss": {"kind": "sparse_categorical_crossentropy", "size": "mse"},
    "metrics": {"kind": ["accuracy"]},
}
MASKED_X = np.where(np.arange(6) < 1 + np.arange(len(X))[:, None] % 6, 1 + np.arange(len(X))[:, None] % 8, 0)
MASKED_Y = {"kind": (MASKED_X + np.arange(6)) % 3, "size": np.float32(MASKED_X + np.arange(6))[..., None] / 8}


TWO = {
    "loss": {"kind": "sparse_categorical_crossentropy", "odd": "binary_crossentropy"},
    "metrics": {"kind": ["accuracy"], "odd": ["accuracy", "mae"]},
}
TWO_X, TWO_Y = {"a": X, "b": X[:, ::-1].copy()}, {"kind": Y, "odd": (Y % 2)[:, None].astype(np.float32)}


def two_lists():
    a, b = keras.Input((6,)), keras.Input((6,))
    x = LAYERS.Dense(8, "relu")(a - b)
    return keras.Model([a, b], [LAYERS.Dense(3, "softmax", name="kind")(x), LAYERS.Dense(1, name="size")(x)])


def regularised():
    return tfnn.models.add_l2(dense(), 0.01)


def with_penalties():
    """Keras's own regularizers, of kernel, bias and activity."""
    hidden = LAYERS.Dense(8, "relu", kernel_regularizer="l1l2", bias_regularizer="l2", activity_regularizer="l2")
    return keras.Sequential([keras.Input((6,)), hidden, LAYERS.Dense(3, "softmax")])


class Penalty(LAYERS.Layer):
    def call(self, x):
        self.add_loss(0.1 * tf.reduce_mean(tf.square(x)))
        return x


def with_add_loss():
    return keras.Sequential([keras.Input((6,)), LAYERS.Dense(8, "relu"), Penalty(), LAYERS.Dense(3, "softmax")])


class Unbuilt(keras.Model):
    """A subclass whose variables the first batch makes."""

    def __init__(self):
        super().__init__()
        self.hidden, self.last = LAYERS.Dense(8, "relu"), LAYERS.Dense(3, "softmax")

    def call(self, x, training=False):
        return self.last(self.hidden(x) * (2.0 if training else 1.0))


class Remembering(keras.Model):
    """A subclass that is not built, whose recurrent layer keeps its state; each example is three words of two numbers."""

    def __init__(self):
        super().__init__()
        self.words = LAYERS.Reshape((3, 2))
        self.memory, self.last = LAYERS.GRU(4, stateful=True), LAYERS.Dense(3, "softmax")

    def call(self, x):
        return self.last(self.memory(self.words(x)))


class EitherInput(keras.Model):
    """Takes one of two inputs; the other is None."""

    def __init__(self):
        super().__init__()
        self.last = LAYERS.Dense(3, "softmax")

    def call(self, x):
        return self.last(x["b"] if x["a"] is None else x["a"])


class Autoencoder(keras.Model):
    """Learns without labels: its loss is all `add_loss`."""

    def __init__(self):
        super().__init__()
        self.code, self.image = LAYERS.Dense(2, "tanh"), LAYERS.Dense(6)

    def call(self, x):
        image = self.image(self.code(x))
        self.add_loss(tf.reduce_mean(tf.square(image - x)))
        return image


class OwnTrainStep(keras.Model):
    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True), sample_weight)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply([0.5 * g for g in gradients], self.trainable_variables)
        return {"loss": loss, "norm": tf.linalg.global_norm(gradients)}


class MoreLogs(keras.Model):
    """Calls Keras's own step and adds a number."""

    def train_step(self, data):
        logs = super().train_step(data)
        return {**logs, "size": tf.reduce_sum(tf.square(self.trainable_variables[0]))}


class TellsMuch(keras.Model):
    """Its steps tell a loss for each example, predictions, None, numbers of Python and a dict."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            told = self.told(y, self(x, training=True))
        gradients = tape.gradient(told["loss"], self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        return told

    def test_step(self, data):
        return self.told(data[1], self(data[0], training=False))

    def told(self, y, y_pred):
        loss = keras.losses.sparse_categorical_crossentropy(y, y_pred)
        more = {"total": tf.reduce_sum(loss), "weight": None, "parts": 2}
        return {"loss": loss, "predictions": y_pred, "nothing": None, "rate": 0.5, "more": more}


class OwnTestStep(keras.Model):
    def test_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        loss = self.compute_loss(x, y, y_pred, sample_weight)
        return {"loss": loss, "spread": tf.math.reduce_std(y_pred)}


class OwnLoss(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        return loss + 0.01 * tf.reduce_mean(tf.square(y_pred)) * (2.0 if training else 1.0)


class OwnMetrics(keras.Model):
    """`compute_metrics` with a metric of its own, and the property `metrics` that resets it each epoch."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.confidence = keras.metrics.Mean(name="confidence")

    @property
    def metrics(self):
        return [*super().metrics, self.confidence]

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        self.confidence.update_state(tf.reduce_max(y_pred, -1))
        return super().compute_metrics(x, y, y_pred, sample_weight)


class OnlyOwnMetrics(keras.Model):
    """As in Keras's guide to custom steps: `metrics` holds nothing of `compile`."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.total, self.error = keras.metrics.Mean(name="total"), keras.metrics.MeanAbsoluteError(name="error")

    @property
    def metrics(self):
        return [self.total, self.error]

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, y_pred))
        self.optimizer.apply_gradients(zip(tape.gradient(loss, self.trainable_variables), self.trainable_variables))
        return self.updated(loss, y, y_pred)

    def test_step(self, data):
        x, y = data
        y_pred = self(x, training=False)
        return self.updated(tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, y_pred)), y, y_pred)

    def updated(self, loss, y, y_pred):
        self.total.update_state(loss)
        self.error.update_state(tf.one_hot(y, 3), y_pred)
        return {metric.name: metric.result() for metric in self.metrics}
