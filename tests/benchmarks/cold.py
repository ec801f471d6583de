"""First contact: short fits of fresh models, in fresh processes, against `model.fit` on TensorFlow and on JAX.

What people do most: a first try, a notebook, cross-validation, a search. Every program below runs in a process of its own for
each engine, in turn, and is timed from the first fit on, imports excluded. A "first fit" is one epoch with validation; "again"
is an epoch of a later fit of the same model; "long" is an epoch of a fit that is long enough for XLA, after one before it.

    python -m tests.benchmarks cold
    python -m tests.benchmarks.cold dense tfnn     one program with one engine: seconds, as JSON
"""

import importlib.util
import json
import os
import statistics
import subprocess
import sys

import keras
import numpy as np

from tests.benchmarks.timing import Row, seconds

ENGINES = {"tfnn": "tensorflow", "model.fit": "tensorflow", "model.fit, JAX": "jax"}
ROUNDS = 3
EPOCHS = {"heavy": 12, "light": 90}  # of 47 updates: beyond what tfnn.training.graph.xla.PAYS asks


# Models ---------------------------------------------------------------------------------------------------------------


def compiled(model, loss="sparse_categorical_crossentropy", metrics=("accuracy",), **options):
    model.compile("adam", loss, metrics=metrics if isinstance(metrics, dict) else list(metrics), **options)
    return model


def sequential(shape, *layers, dtype="float32"):
    return compiled(keras.Sequential([keras.Input(shape, dtype=dtype), *layers]))


def dense():
    layers = keras.layers
    hidden = [layers.Dense(128, "relu"), layers.Dropout(0.3), layers.Dense(128, "relu"), layers.Dropout(0.3)]
    return sequential((64,), *hidden, layers.Dense(10, "softmax"))


def plain_dense():
    layers = keras.layers
    return sequential((64,), layers.Dense(128, "relu"), layers.Dense(128, "relu"), layers.Dense(10, "softmax"))


def cnn():
    layers = keras.layers
    convolutions = [layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D()]
    convolutions += [layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D()]
    return sequential((28, 28, 1), *convolutions, layers.Flatten(), layers.Dense(10, "softmax"))


def lstm():
    return sequential((20, 16), keras.layers.LSTM(64), keras.layers.Dense(10, "softmax"))


def gru():
    layers = keras.layers
    return sequential((20,), layers.Embedding(100, 16), layers.GRU(64), layers.Dense(10, "softmax"), dtype="int32")


def transformer(blocks=2, width=64):
    layers = keras.layers
    inputs = keras.Input((20,), dtype="int32")
    x = layers.Embedding(100, width)(inputs)
    for _ in range(blocks):
        y = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(4, width // 4)(y, y)
        y = layers.Dense(2 * width, "gelu")(layers.LayerNormalization()(x))
        x = x + layers.Dense(width)(y)
    return compiled(keras.Model(inputs, layers.Dense(10, "softmax")(layers.GlobalAveragePooling1D()(x))))


def two_inputs_and_outputs():
    layers = keras.layers
    a, b = keras.Input((32,), name="a"), keras.Input((8,), name="b")
    x = layers.Concatenate()([layers.Dense(32, "relu")(a), layers.Dense(32, "relu")(b)])
    outputs = {"kind": layers.Dense(10, "softmax", name="kind")(x), "size": layers.Dense(1, name="size")(x)}
    loss = {"kind": "sparse_categorical_crossentropy", "size": "mse"}
    return compiled(keras.Model({"a": a, "b": b}, outputs), loss, metrics={"kind": ["accuracy"]})


def tabular(units=48):
    layers = keras.layers
    hidden = [layers.Dense(units, "relu"), layers.BatchNormalization(), layers.Dropout(0.3), layers.Dense(units, "relu")]
    return sequential((24,), *hidden, layers.Dense(2, "softmax"))


# Data -----------------------------------------------------------------------------------------------------------------

SHAPES = {dense: (64,), plain_dense: (64,), cnn: (28, 28, 1), lstm: (20, 16), tabular: (24,)}


def data(build, rows, classes=10):
    random = np.random.default_rng(rows)
    y = random.integers(0, classes, rows).astype("int32")
    if build in (gru, transformer):
        return random.integers(0, 100, (rows, 20)).astype("int32"), y
    numbers = lambda *shape: random.normal(size=(rows, *shape)).astype("float32")
    if build is two_inputs_and_outputs:
        return {"a": numbers(32), "b": numbers(8)}, {"kind": y, "size": numbers(1)}
    return numbers(*SHAPES[build]), y


# Programs -------------------------------------------------------------------------------------------------------------


def first_and_again(fit, build, held=300, rows=1500, again=3):
    x, y = data(build, rows)
    options = dict(batch_size=32, verbose=0, validation_data=data(build, held))
    model = build()
    first = seconds(lambda: fit(model, x, y, **options))
    fit(model, x, y, **options)
    return {"first fit": first, "again": seconds(lambda: fit(model, x, y, epochs=again, **options)) / again}


def long(fit, build, kind, engine):
    """Without a tail to validate on: what is measured is the engine's loop."""
    x, y = data(build, 1500)
    epochs = 5 if engine == "model.fit" else EPOCHS[kind]
    options = dict(batch_size=32, verbose=0, epochs=epochs)
    model = build()
    fit(model, x, y, **options)
    return {"long": seconds(lambda: fit(model, x, y, **options)) / epochs}


def streamed(fit, engine):
    import tensorflow as tf

    model, held = plain_dense(), data(plain_dense, 300)
    stream = lambda pair: tf.data.Dataset.from_tensor_slices(pair).shuffle(len(pair[1]), seed=1).batch(32).prefetch(2)
    x, validation = stream(data(plain_dense, 1500)), stream(held)
    first = seconds(lambda: fit(model, x, validation_data=validation, verbose=0))
    again = seconds(lambda: fit(model, x, validation_data=validation, verbose=0, epochs=3)) / 3
    return {"first fit": first, "again": again}


def stopping():
    return [keras.callbacks.EarlyStopping(patience=5)]


def tabular_once(fit, engine):
    x, y = data(tabular, 1100, classes=2)
    how = dict(validation_split=0.25, epochs=3, verbose=0, callbacks=stopping())
    return {"": seconds(lambda: fit(tabular(), x, y, **how))}


def folds(fit, engine, n=5, epochs=4, units=(48,)):
    """One fit for each fold, and each number of units."""
    x, y = data(tabular, 1100, classes=2)

    def run():
        for width in units:
            for fold in range(n):
                held = np.arange(len(x)) % n == fold
                validation = x[held], y[held]
                model = tabular(width)
                fit(model, x[~held], y[~held], epochs=epochs, verbose=0, validation_data=validation, callbacks=stopping())

    return {"": seconds(run)}


def small_cnn(fit, engine):
    x, y = data(cnn, 336)
    return {"": seconds(lambda: fit(cnn(), x, y, epochs=2, verbose=0))}


def embedding_and_gru(fit, engine):
    x, y = data(gru, 1500)
    return {"": seconds(lambda: fit(gru(), x, y, verbose=0))}


def two_outputs(fit, engine):
    x, y = data(two_inputs_and_outputs, 1100)
    return {"": seconds(lambda: fit(two_inputs_and_outputs(), x, y, epochs=2, verbose=0))}


def guide(fit, engine):
    """22 fits in the shape of a training guide: fresh models, models that are trained on, weights, outputs, callbacks."""
    x, y = data(plain_dense, 1000)
    validation, weights = data(plain_dense, 200), np.linspace(0.5, 2, 1000).astype("float32")
    pair = data(two_inputs_and_outputs, 500)
    variants = [
        dict(validation_data=validation),
        dict(validation_split=0.2),
        dict(sample_weight=weights),
        dict(class_weight={c: 1.0 + c for c in range(10)}),
        dict(callbacks=[keras.callbacks.EarlyStopping(monitor="loss", patience=2)]),
        dict(callbacks=[keras.callbacks.ReduceLROnPlateau(monitor="loss")]),
    ]

    def run():
        for variant in variants:
            model = plain_dense()
            for epochs in 1, 2, 1:
                fit(model, x, y, batch_size=64, epochs=epochs, verbose=0, **variant)
        model = two_inputs_and_outputs()
        for _ in range(4):
            fit(model, *pair, batch_size=32, verbose=0)

    return {"": seconds(run)}


def notebook(fit, engine):
    """10 fits in the shape of a notebook: a model that is tried, changed, tried again."""
    x, y = data(plain_dense, 1500)
    layers = keras.layers

    def run():
        for width in 32, 64, 128, 256, 512:
            model = sequential((64,), layers.Dense(width, "relu"), layers.Dropout(0.2), layers.Dense(10, "softmax"))
            fit(model, x, y, epochs=5, verbose=0, validation_split=0.2)
            fit(model, x, y, epochs=3, verbose=0)

    return {"": seconds(run)}


def cross_validations(fit, engine):
    """26 fits through scikit-learn: a score of five folds, and a search of seven settings in three folds."""
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.model_selection import GridSearchCV, cross_val_score

    class Classifier(ClassifierMixin, BaseEstimator):
        def __init__(self, units=32):
            self.units = units

        def fit(self, x, y):
            self.classes_, self.model_ = np.unique(y), tabular(self.units)
            fit(self.model_, x, y, epochs=3, verbose=0)
            return self

        def predict(self, x):
            return np.argmax(self.model_.predict(x, verbose=0), axis=1)

    x, y = data(tabular, 600, classes=2)

    def run():
        cross_val_score(Classifier(), x, y, cv=5)
        GridSearchCV(Classifier(), {"units": [8, 12, 16, 24, 32, 48, 64]}, cv=3, refit=False).fit(x, y)

    return {"": seconds(run)}


def twenty(fit, engine):
    x, y = data(plain_dense, 500)
    return {"": seconds(lambda: [fit(plain_dense(), x, y, verbose=0) for _ in range(20)])}


def engines_row(build, kind=None, **options):
    return lambda fit, engine: first_and_again(fit, build, **options) | (long(fit, build, kind, engine) if kind else {})


PROGRAMS = {
    "dense net with Dropout": engines_row(dense, "light"),
    "dense net": engines_row(plain_dense, "light"),
    "CNN": engines_row(cnn),
    "LSTM": engines_row(lstm, "heavy"),
    "transformer": engines_row(transformer, "heavy"),
    "two inputs, two outputs": engines_row(two_inputs_and_outputs, "light"),
    "dense net, 2,010 to validate": engines_row(plain_dense, held=2010, rows=2000),
    "dense net, tf.data": streamed,
    "tabular net, 3 epochs": tabular_once,
    "two outputs, 2 epochs": two_outputs,
    "five folds, 4 epochs": folds,
    "small CNN, 2 epochs of 336": small_cnn,
    "Embedding and GRU, 1 epoch": embedding_and_gru,
    "guide, 22 fits": guide,
    "notebook, 10 fits": notebook,
    "cross-validations, 26 fits": cross_validations,
    "20 fresh fits": twenty,
}


# Measuring ------------------------------------------------------------------------------------------------------------


def measured(program, engine):
    """{what: seconds} of a program in a process of its own."""
    run = [sys.executable, "-m", "tests.benchmarks.cold", program, engine]
    environment = os.environ | {"KERAS_BACKEND": ENGINES[engine], "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(run, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"{program} with {engine} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def rows(programs=PROGRAMS, rounds=ROUNDS):
    peers = [engine for engine in ENGINES if engine != "tfnn"]
    if not importlib.util.find_spec("jax"):
        peers.remove("model.fit, JAX")
    for program in programs:
        found = [{engine: measured(program, engine) for engine in ("tfnn", *peers)} for _ in range(rounds)]
        for peer in peers:
            for what in found[0]["tfnn"]:
                pairs = [(one["tfnn"][what], one[peer][what]) for one in found]
                ours, theirs = (statistics.median(side) * 1e3 for side in zip(*pairs))
                ratio = statistics.median(b / a for a, b in pairs)
                yield Row(": ".join(filter(None, (program, what))), peer, ours, theirs, "ms", ratio)


if __name__ == "__main__":
    name, engine = sys.argv[1:]
    keras.utils.set_random_seed(0)
    if engine == "tfnn":
        import tfnn

        fit = tfnn.fit
    else:
        fit = keras.Model.fit
    print(json.dumps(PROGRAMS[name](fit, engine)))
