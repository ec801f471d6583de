"""`tfnn.evaluate` and `tfnn.predict` give what `model.evaluate` and `model.predict` give."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.training.models import (
    TWO,
    TWO_X,
    TWO_Y,
    Autoencoder,
    OwnMetrics,
    OwnTestStep,
    Unbuilt,
    images,
    two_headed,
    two_lists,
)
from tests.training.oracle import LAYERS, W, X, Y, compiled, dense
from tests.training.sources import (
    AVERAGED,
    KINDS,
    LSTM,
    SLICES,
    TAGS,
    WORDS,
    Batches,
    Endless,
    Sentences,
    dataset,
    generator,
    padded,
    ragged,
    ragged_mean,
    tagged,
    unknown,
)


class OwnPredictStep(keras.Model):
    def predict_step(self, data):
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        return {"class": tf.argmax(y_pred, -1), "sure": tf.reduce_max(y_pred, -1)}


class CountsBatches(keras.Model):
    """A step whose answer is no metric: that of the last batch is given."""

    def test_step(self, data):
        x, _ = data
        return {"examples": tf.shape(x)[0], "sum": tf.reduce_sum(self(x, training=False))}


def own(kind):
    return compiled(lambda: dense(kind=kind), metrics=None)


ARRAYS = {"x": X, "y": Y, "batch_size": 16}
RATES = compiled(
    lambda: dense(1, "sigmoid"),
    loss="binary_crossentropy",
    metrics=lambda: [keras.metrics.AUC(num_thresholds=20, name="auc"), keras.metrics.PrecisionAtRecall(0.5, name="precision")],
)
WEIGHTED = compiled(weighted_metrics=lambda: ["accuracy"])
# name: (a function that makes the compiled model, a function that makes the arguments of evaluate)
EVALUATED = {
    "arrays": (compiled(), lambda: ARRAYS),
    "default batch size": (compiled(), lambda: {"x": X, "y": Y}),
    "batch size above the data": (compiled(), lambda: {**ARRAYS, "batch_size": 100}),
    "weights": (WEIGHTED, lambda: {**ARRAYS, "sample_weight": W}),
    "some steps of arrays": (compiled(), lambda: {**ARRAYS, "steps": 2}),
    "loss alone": (compiled(metrics=None), lambda: ARRAYS),
    "metrics of curves": (RATES, lambda: {**ARRAYS, "y": (Y == 1)[:, None]}),
    "BatchNorm": (compiled(lambda: images(LAYERS.BatchNormalization, lambda: LAYERS.Dropout(0.5))), lambda: ARRAYS),
    "subclass that is not built": (compiled(Unbuilt), lambda: ARRAYS),
    "without labels": (compiled(Autoencoder, loss=None, metrics=None), lambda: {"x": X, "batch_size": 16}),
    "two outputs": (compiled(two_headed, **TWO), lambda: {"x": TWO_X, "y": TWO_Y}),
    "lists": (
        compiled(two_lists, loss=["sparse_categorical_crossentropy", "mse"], metrics=None),
        lambda: {"x": [X, -X], "y": [Y, W]},
    ),
    "dataset": (compiled(), lambda: {"x": dataset()}),
    "dataset with weights": (WEIGHTED, lambda: {"x": dataset(X, Y, W)}),
    "dataset of unknown length": (compiled(), lambda: {"x": unknown()}),
    "some steps of an endless dataset": (compiled(), lambda: {"x": dataset().repeat(), "steps": 6}),
    "PyDataset": (compiled(), lambda: {"x": Batches(workers=1)}),
    "PyDataset, two workers": (compiled(), lambda: {"x": Batches(workers=2)}),
    "PyDataset without end": (compiled(), lambda: {"x": Endless(), "steps": 3}),
    "generator": (compiled(), lambda: {"x": generator(), "steps": 4}),
    "lengths that differ": (LSTM, lambda: {"x": padded()}),
    "lengths that differ, average": (AVERAGED, lambda: {"x": Sentences()}),
    "lengths that differ, a label for each word": (TAGS, lambda: {"x": tagged()}),
    "ragged tensor": (compiled(ragged_mean), lambda: {"x": ragged(), "y": KINDS}),
    "own test_step": (own(OwnTestStep), lambda: ARRAYS),
    "own test_step whose logs are no metrics": (own(CountsBatches), lambda: ARRAYS),
    "own compute_metrics": (own(OwnMetrics), lambda: {"x": dataset()}),
    "own test_step, dataset": (own(OwnTestStep), lambda: {"x": dataset()}),
    "eager": (compiled(run_eagerly=True), lambda: ARRAYS),
    "four steps per execution": (compiled(steps_per_execution=4), lambda: {"x": dataset()}),
}


def made(make):
    keras.utils.set_random_seed(5)
    return make()


@pytest.mark.parametrize("case", EVALUATED)
@pytest.mark.parametrize("return_dict", [False, True])
def test_evaluate_gives_what_keras_gives(case, return_dict):
    make, arguments = EVALUATED[case]
    expected, found = (
        home.evaluate(made(make), **arguments(), return_dict=return_dict, verbose=0) for home in (keras.Model, tfnn)
    )
    assert type(found) is type(expected)
    if return_dict:
        assert list(found) == list(expected)
        found, expected = list(found.values()), list(expected.values())
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


# name: (a function that makes the model, a function that makes the arguments of predict)
PREDICTED = {
    "arrays": (dense, lambda: {"x": X, "batch_size": 16}),
    "default batch size": (dense, lambda: {"x": X}),
    "one batch": (dense, lambda: {"x": X, "batch_size": 100}),
    "some steps of arrays": (dense, lambda: {"x": X, "batch_size": 16, "steps": 2}),
    "dict of outputs": (two_headed, lambda: {"x": TWO_X, "batch_size": 16}),
    "list of outputs": (two_lists, lambda: {"x": [X, -X]}),
    "subclass that is not built": (Unbuilt, lambda: {"x": X}),
    "BatchNorm and Dropout": (lambda: images(LAYERS.BatchNormalization, lambda: LAYERS.Dropout(0.5)), lambda: {"x": X}),
    "dataset": (dense, lambda: {"x": SLICES(X).batch(16)}),
    "dataset with labels": (dense, lambda: {"x": dataset(X, Y, W)}),
    "dataset of unknown length": (dense, lambda: {"x": unknown()}),
    "some steps of an endless dataset": (dense, lambda: {"x": dataset().repeat(), "steps": 6}),
    "PyDataset": (dense, lambda: {"x": Batches(workers=1)}),
    "PyDataset, two workers": (dense, lambda: {"x": Batches(X, workers=2)}),
    "generator": (dense, lambda: {"x": generator(X), "steps": 4}),
    "lengths that differ, one answer": (LSTM, lambda: {"x": padded()}),
    "lengths that differ, answers of one length": (TAGS, lambda: {"x": keras.utils.pad_sequences(WORDS)}),
    "lengths that differ, an answer for each word": (TAGS, lambda: {"x": padded()}),
    "ragged tensor": (ragged_mean, lambda: {"x": ragged()}),
    "own predict_step": (lambda: dense(kind=OwnPredictStep), lambda: {"x": X, "batch_size": 16}),
    "own predict_step, dataset": (lambda: dense(kind=OwnPredictStep), lambda: {"x": dataset()}),
    "integers": (lambda: dense(kind=keras.Model), lambda: {"x": np.ones((5, 6), int)}),
    "eager": (compiled(run_eagerly=True), lambda: {"x": X}),
    "three steps per execution": (compiled(steps_per_execution=3), lambda: {"x": X, "batch_size": 16}),
}


@pytest.mark.parametrize("case", PREDICTED)
def test_predict_gives_what_keras_gives(case):
    make, arguments = PREDICTED[case]
    expected, found = (home.predict(made(make), **arguments(), verbose=0) for home in (keras.Model, tfnn))
    keras.tree.assert_same_structure(found, expected)
    for a, b in zip(keras.tree.flatten(found), keras.tree.flatten(expected)):
        assert type(a) is type(b) and a.dtype == b.dtype
        if isinstance(a, tf.RaggedTensor):
            a, b = a.to_tensor(), b.to_tensor()
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


class Listener(keras.callbacks.Callback):
    """Records its hooks, and stops after a batch."""

    def __init__(self, stop=None):
        super().__init__()
        self.calls, self.stop = [], stop

    def hear(self, hook, *index, logs=None):
        numbers = {name: np.shape(value) or round(float(value), 4) for name, value in (logs or {}).items()}
        self.calls.append((hook, *index, numbers))
        self.model.stop_evaluating = self.model.stop_predicting = hook.endswith("batch_end") and index == (self.stop,)

    def on_test_begin(self, logs=None):
        self.hear("test_begin", logs=logs)

    def on_test_end(self, logs=None):
        self.hear("test_end", logs=logs)

    def on_test_batch_begin(self, batch, logs=None):
        self.hear("test_batch_begin", batch, logs=logs)

    def on_test_batch_end(self, batch, logs=None):
        self.hear("test_batch_end", batch, logs=logs)

    def on_predict_begin(self, logs=None):
        self.hear("predict_begin", logs=logs)

    def on_predict_end(self, logs=None):
        self.hear("predict_end", logs=logs)

    def on_predict_batch_begin(self, batch, logs=None):
        self.hear("predict_batch_begin", batch, logs=logs)

    def on_predict_batch_end(self, batch, logs=None):
        self.hear("predict_batch_end", batch, logs=logs)


KINDS_OF_DATA = {"arrays": lambda: {"x": X, "batch_size": 16}, "dataset": lambda: {"x": dataset()}}


@pytest.mark.parametrize("kind", KINDS_OF_DATA)
@pytest.mark.parametrize("stop", [None, 1])
@pytest.mark.parametrize("method, steps_per_execution", [("evaluate", 1), ("evaluate", 2), ("predict", 1)])
def test_hooks_are_those_of_keras(method, steps_per_execution, stop, kind):
    heard = []
    for home in keras.Model, tfnn:
        listener, arguments = Listener(stop), KINDS_OF_DATA[kind]()
        if method == "evaluate" and kind == "arrays":
            arguments["y"] = Y
        model = made(compiled(steps_per_execution=steps_per_execution))
        getattr(home, method)(model, **arguments, verbose=0, callbacks=[listener])
        heard.append(listener.calls)
    assert heard[0] == heard[1] != []


@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_a_progress_bar_is_shown(method, capsys):
    arguments = {"y": Y} if method == "evaluate" else {}
    for home in keras.Model, tfnn:
        getattr(home, method)(made(compiled()), X, **arguments, batch_size=16, verbose=2)
        assert "4/4" in capsys.readouterr().out


def test_what_fit_trained_is_what_evaluate_measures():
    """Functions made before training see the weights of now; so do those made before `compile` and before freezing."""
    model = made(compiled())
    before = tfnn.evaluate(model, X, Y, verbose=0)
    tfnn.fit(model, X, Y, epochs=2, verbose=0)
    np.testing.assert_allclose(tfnn.evaluate(model, X, Y, verbose=0), model.evaluate(X, Y, verbose=0), rtol=1e-5)
    np.testing.assert_allclose(tfnn.predict(model, X, verbose=0), model.predict(X, verbose=0), rtol=1e-5, atol=1e-6)
    assert not np.allclose(before, tfnn.evaluate(model, X, Y, verbose=0))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["mae"])
    assert list(tfnn.evaluate(model, X, Y[:, None], verbose=0, return_dict=True)) == ["loss", "mae"]


def test_evaluate_needs_a_compiled_model_and_predict_does_not():
    with pytest.raises(ValueError, match="not compiled"):
        tfnn.evaluate(dense(), X, Y, verbose=0)
    assert tfnn.predict(dense(), X, verbose=0).shape == (60, 3)


EMPTY = {
    "arrays": lambda: X[:0],
    "dataset": lambda: dataset().take(0),
    "dataset of unknown length": lambda: SLICES((X, Y)).filter(lambda x, y: False).batch(4),
    "generator": lambda: (batch for batch in ()),
}


@pytest.mark.parametrize("kind", EMPTY)
@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_nothing_to_read_is_a_value_error(method, kind):
    arguments = {"y": Y[:0]} if (method, kind) == ("evaluate", "arrays") else {}
    with pytest.raises(ValueError, match="at least one|needs batches|none"):
        getattr(tfnn, method)(made(compiled()), EMPTY[kind](), **arguments, verbose=0)


class Several(keras.metrics.Mean):
    def result(self):
        return {"mean": super().result(), "twice": 2 * super().result()}

    def update_state(self, y, y_pred, sample_weight=None):
        super().update_state(y_pred[:, 0])


def test_a_metric_of_several_numbers_is_told_as_by_keras():
    inputs = keras.Input((6,))
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(inputs))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[Several()])
    x, y = np.random.RandomState(0).normal(size=(20, 6)).astype(np.float32), np.arange(20) % 3
    found, wanted = tfnn.evaluate(model, x, y, verbose=0, return_dict=True), model.evaluate(x, y, verbose=0, return_dict=True)
    assert found == pytest.approx(wanted) and {"mean", "twice"} < found.keys()
    history = tfnn.fit(model, x, y, validation_data=(x, y), verbose=0).history
    assert {"mean", "twice", "val_mean", "val_twice"} < history.keys()


CHANGED = {
    "an activation": lambda model: setattr(model.layers[0], "activation", keras.activations.tanh),
    "an adapter": lambda model: (model.layers[0].enable_lora(2), model.layers[0].lora_kernel_b.assign(np.ones((2, 8)))),
    "whole numbers in place of weights": lambda model: model.quantize("int8"),
    "a number of a layer of one's own": lambda model: setattr(model.layers[1], "factor", 3.0),
}


class Scaled(keras.layers.Layer):
    factor = 1.0

    def call(self, x):
        return self.factor * x


@pytest.mark.parametrize("change", CHANGED)
def test_a_model_that_was_changed_answers_and_trains_as_it_is_now(change):
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, "relu"), Scaled(), keras.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    fit = lambda: tfnn.fit(model, X, Y, verbose=0, jit_compile=False).traces
    assert [fit(), fit()] == [1, 0]
    for _ in range(2):  # the second time nothing has changed: the same trace answers
        np.testing.assert_allclose(tfnn.predict(model, X, verbose=0), model(X), rtol=1e-5)
        loss = keras.losses.sparse_categorical_crossentropy(Y, model(X))
        np.testing.assert_allclose(tfnn.evaluate(model, X, Y, verbose=0), np.mean(loss), rtol=1e-5)
    before = tfnn.predict(model, X, verbose=0)
    CHANGED[change](model)
    loss = keras.losses.sparse_categorical_crossentropy(Y, model(X))
    np.testing.assert_allclose(tfnn.evaluate(model, X, Y, verbose=0), np.mean(loss), rtol=1e-5)
    np.testing.assert_allclose(tfnn.predict(model, X, verbose=0), model(X), rtol=1e-5)
    assert np.abs(tfnn.predict(model, X, verbose=0) - before).max() > 1e-6
    model.compile("sgd", "sparse_categorical_crossentropy") if change == "an adapter" else None  # as Keras asks for
    assert [fit(), fit()] == [1, 0]
