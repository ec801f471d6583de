"""One run of training twice, by `keras.Model.fit`, the oracle, and by `tfnn.fit`: weights, optimizer and History agree."""

import keras
import numpy as np

import tfnn

LAYERS = keras.layers
RANDOM = np.random.RandomState(0)
X = RANDOM.normal(size=(60, 6)).astype(np.float32)  # in batches of 16: three full ones and one of 12
Y = (X @ RANDOM.normal(size=(6, 3))).argmax(-1)
W = RANDOM.uniform(0.2, 2, 60).astype(np.float32)
HELD = X[::-2].copy(), Y[::-2].copy()  # 30 examples
HELD_W = W[::-2].copy()
DATA = {"x": X, "y": Y, "batch_size": 16}
RUN = {"epochs": 3, "shuffle": False, "verbose": 0}


def dense(outputs=3, activation="softmax", kind=keras.Model):
    inputs = keras.Input((6,))
    x = LAYERS.Dense(8, "relu")(inputs)
    return kind(inputs, LAYERS.Dense(outputs, activation)(x))


def nesterov():
    return tfnn.optimizers.SGD(0.05, momentum=0.9, nesterov=True)


def compiled(build=dense, optimizer=nesterov, loss="sparse_categorical_crossentropy", metrics=("accuracy",), **options):
    """A function that makes a compiled model; of arguments that hold state, as metrics do, functions that make them."""

    def make():
        model = build()
        fresh = {name: value() if callable(value) else value for name, value in options.items()}
        given = metrics() if callable(metrics) else list(metrics) if isinstance(metrics, tuple) else metrics
        model.compile(optimizer(), loss, metrics=given, **fresh)
        return model

    return make


def fit(model, *arguments, **options):
    """`tfnn.fit` without XLA, which takes a second to compile each of these tiny models; test_parity.py runs both ways."""
    return tfnn.fit(model, *arguments, **{"jit_compile": "auto" if model.jit_compile else False, **options})


def trained(make, arguments, fit, **more):
    """(model, history) of `fit` with `arguments`, a dict or a function that makes one, as datasets hold state."""
    keras.utils.set_random_seed(5)
    model = make()
    arguments = arguments() if callable(arguments) else arguments
    return model, fit(model, **{**RUN, **({} if "x" in arguments else DATA), **arguments}, **more)


def assert_same_run(ours, theirs, rtol=1e-5, atol=1e-5, counted=True):
    """That two results of `trained` agree to 1e-5, the optimizer's slots to 1e-4, and where `counted` its updates."""
    (model, found), (oracle, expected) = ours, theirs
    for a, b in zip(model.get_weights(), oracle.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol, atol)
    if oracle.optimizer and oracle.optimizer.built:
        for a, b in zip(model.optimizer.variables, oracle.optimizer.variables, strict=True):
            if counted or b is not oracle.optimizer.iterations:
                np.testing.assert_allclose(a, b, 10 * rtol, atol)
    assert sorted(found.history) == sorted(expected.history)  # Keras 3.13 sorts what a step of the model's own tells
    assert found.epoch == expected.epoch
    for name, values in expected.history.items():
        if values[0] is None:  # a step of the model's own may tell so
            assert found.history[name] == values, name
        else:
            np.testing.assert_allclose(found.history[name], values, rtol, atol, err_msg=name)


def compare(make, arguments, **options):
    """Runs both, compares them and gives our (model, history)."""
    theirs = trained(make, arguments, keras.Model.fit)
    ours = trained(make, arguments, fit)
    assert_same_run(ours, theirs, **options)
    return ours
