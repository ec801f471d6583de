"""What cannot be trained on is refused in one clear line, before anything is changed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.training.models import OwnTrainStep
from tests.training.oracle import DATA, W, X, Y, compiled, dense
from tests.training.sources import NAMED, SLICES, Batches, Endless, dataset, names

OWN = compiled(lambda: dense(kind=OwnTrainStep), metrics=None)
ONE_HOT = compiled(loss="categorical_crossentropy")
GROW = lambda: [tfnn.callbacks.BatchSizeScheduler({1: 32})]


class Forgetful(keras.Model):
    """Its training step lacks a `return`; its test step gives a number alone."""

    def train_step(self, data):
        super().train_step(data)

    def test_step(self, data):
        return super().test_step(data)["loss"]


def some(batches):
    for _ in range(batches):
        yield X[:16], Y[:16]


def none():
    return SLICES((X, Y)).filter(lambda x, y: False).batch(4)


# name: (a function that makes the compiled model, a function that makes the arguments of fit, the message)
CASES = {
    "too few columns": (compiled(), lambda: {**DATA, "x": X[:, :5]}, r"expected shape=\(None, 6\), found shape=\(None, 5\)"),
    "too few columns in a dataset": (compiled(), lambda: {"x": dataset(X[:, :5].copy(), Y)}, r"found shape=\(None, 5\)"),
    "one-hot labels for a sparse loss": (compiled(), lambda: {**DATA, "y": np.eye(4)[Y]}, r"target.shape=\(None, 4\)"),
    "integer labels for a one-hot loss": (ONE_HOT, lambda: DATA, r"target.shape=\(None,\)"),
    "one class too many": (ONE_HOT, lambda: {**DATA, "y": np.eye(4)[Y]}, r"output.shape=\(None, 3\)"),
    "a label too high": (compiled(), lambda: {**DATA, "y": Y + 1}, "labels y of 1 to 3 must be in 0 to 2, the 3 classes"),
    "a label too low": (compiled(), lambda: {**DATA, "y": Y - 1}, "labels y of -1 to 1 must be in 0 to 2, the 3 classes"),
    "a label too high in validation": (compiled(), lambda: {**DATA, "validation_data": (X, Y + 1)}, "labels y of 1 to 3 must"),
    "no labels": (compiled(), lambda: {"x": X}, "compiled with a loss, which needs labels y"),
    "no labels in a dataset": (compiled(), lambda: {"x": SLICES(X).batch(16)}, "compiled with a loss, which needs labels y"),
    "empty arrays": (compiled(), lambda: {"x": X[:0], "y": Y[:0]}, "at least one example"),
    "empty dataset": (compiled(), lambda: {"x": dataset().take(0)}, "it has none"),
    "empty dataset of unknown length": (compiled(), lambda: {"x": none()}, "has none"),
    "empty PyDataset": (compiled(), lambda: {"x": Batches(X[:0], Y[:0])}, "it has none"),
    "empty generator": (compiled(), lambda: {"x": some(0), "steps_per_epoch": 2}, "empty generator"),
    "empty validation dataset": (compiled(), lambda: {**DATA, "validation_data": dataset().take(0)}, "it has none"),
    "empty validation of unknown length": (compiled(), lambda: {**DATA, "validation_data": none()}, "the data gave none"),
    "a train_step without logs": (compiled(lambda: dense(kind=Forgetful)), lambda: DATA, "Forgetful.train_step gave NoneType"),
    "a generator that ends in an epoch": (
        compiled(),
        lambda: {"x": some(5), "steps_per_epoch": 3},
        "the generator ended in epoch 1 after 2 updates",
    ),
    "a generator that ends with an epoch": (compiled(), lambda: {"x": some(3), "steps_per_epoch": 3}, "the generator ended"),
    "a generator for one epoch": (compiled(), lambda: {"x": some(5)}, "the generator ended in epoch 0 after 5 updates"),
    "a dataset without end": (compiled(), lambda: {"x": dataset().repeat()}, "has no end: give the steps"),
    "a PyDataset without end": (compiled(), lambda: {"x": Endless()}, "Endless has no end: give the steps"),
    "validation without end": (compiled(), lambda: {**DATA, "validation_data": dataset().repeat()}, "has no end"),
    "labels beside a dataset": (compiled(), lambda: {"x": dataset(), "y": Y}, "y was given beside a _BatchDataset"),
    "weights beside a PyDataset": (compiled(), lambda: {"x": Batches(), "sample_weight": W}, "sample_weight was given beside"),
    "weights of one output of two": (
        NAMED,
        lambda: {"x": names()[0], "y": names()[1], "sample_weight": {"kind": W}},
        "sample_weight holds kind and must hold an array or None for each of y: kind, size",
    ),
    "a split of a dataset": (compiled(), lambda: {"x": dataset(), "validation_split": 0.2}, "validation_split needs arrays"),
    "lists of numbers": (compiled(), lambda: {"x": X.tolist(), "y": Y}, "np.asarray"),
    "accumulate=0": (compiled(), lambda: {**DATA, "accumulate": 0}, "accumulate=0 must be an integer of at least 1"),
    "accumulate=None": (compiled(), lambda: {**DATA, "accumulate": None}, "accumulate=None must be an integer"),
    "steps_per_epoch=0": (compiled(), lambda: {**DATA, "steps_per_epoch": 0}, "steps_per_epoch=0 must be"),
    "validation_steps=0": (compiled(), lambda: {**DATA, "validation_steps": 0}, "validation_steps=0 must be"),
    "validation_freq=0": (compiled(), lambda: {**DATA, "validation_freq": 0}, "validation_freq=0 must be"),
    "accumulation in a train_step": (OWN, lambda: {**DATA, "accumulate": 2}, "train_step of its own, which cannot be split"),
}


@pytest.mark.parametrize("case", CASES)
def test_refused(case):
    make, arguments, message = CASES[case]
    model = make()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        tfnn.fit(model, **{"epochs": 2, "verbose": 0, **arguments()})
    if "generator" not in case and "validation of unknown" not in case:
        for a, b in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(a, b)


def broken():
    x = X.copy()
    x[17, 2] = np.nan
    return x


def test_a_test_step_that_gives_no_dict_is_named():
    with pytest.raises(ValueError, match=r"Forgetful.test_step gave \w*Tensor: it must return a dict"):
        tfnn.evaluate(compiled(lambda: dense(kind=Forgetful))(), X, Y, verbose=0)


@pytest.mark.parametrize(
    "data", [lambda: {**DATA, "x": broken()}, lambda: {"x": dataset(broken(), Y)}], ids=["arrays", "dataset"]
)
def test_nan_in_the_data_is_named_with_its_example(data):
    with pytest.raises(tfnn.training.NonFiniteError, match="epoch 0, update 1, examples 17.* x of these examples") as error:
        tfnn.fit(compiled()(), **data(), shuffle=False, verbose=0)
    assert error.value.examples == [17]


def test_a_batch_that_grows_in_a_train_step_is_one_larger_batch():
    """What cannot be split is not summed: from epoch 1 on the step is called with 32 examples."""
    models = []
    for fits in [{"epochs": 2, "batch_size": 16, "callbacks": GROW()}], [{"batch_size": 16}, {"batch_size": 32}]:
        keras.utils.set_random_seed(5)
        model = OWN()
        for arguments in fits:
            tfnn.fit(model, X, Y, shuffle=False, verbose=0, **arguments)
        models.append(model.get_weights())
    for a, b in zip(*models, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


class Says(keras.layers.Layer):
    def call(self, x):
        tf.print("mean", tf.reduce_mean(x), output_stream="file:///dev/null")
        return x


def talks(y, y_pred):
    return Says()(tf.reduce_mean(y_pred, -1))


class Talker(keras.Model):
    def train_step(self, data):
        Says()(data[0])
        return super().train_step(data)


def through(layer):
    inputs = keras.Input((6,))
    return lambda: keras.Model(inputs, keras.layers.Dense(3, "softmax")(layer()(inputs)))


PRINTS = {
    "layer": compiled(through(Says)),
    "Lambda": compiled(through(lambda: keras.layers.Lambda(lambda x: Says().call(x)))),
    "loss": compiled(loss=talks, metrics=None),
    "metric": compiled(metrics=(talks,)),
    "train_step": compiled(lambda: dense(kind=Talker)),
}


@pytest.mark.parametrize("where", PRINTS)
def test_what_xla_cannot_compile_trains_nevertheless(where):
    history = tfnn.fit(PRINTS[where](), X, Y, verbose=0)
    assert history.jit_compile is False and len(history.history["loss"]) == 1
