"""`tfnn.fit` gives what `model.fit` gives, weight for weight and number for number, with the same order of examples."""

import keras
import numpy as np
import pytest

import tfnn

LAYERS = keras.layers


def dense(outputs=10, activation="softmax"):
    return keras.Sequential([keras.Input((64,)), LAYERS.Dense(16, "relu"), LAYERS.Dense(outputs, activation)])


def convolutional():
    block = [LAYERS.Conv2D(4, 3, padding="same", use_bias=False), tfnn.layers.BatchNormalization(), LAYERS.ReLU()]
    return keras.Sequential(
        [keras.Input((64,)), LAYERS.Reshape((8, 8, 1)), *block, LAYERS.Flatten(), LAYERS.Dense(10, "softmax")]
    )


def two_headed():
    inputs = {"a": keras.Input((64,), name="a"), "b": keras.Input((64,), name="b")}
    x = LAYERS.Dense(8, "relu")(inputs["a"] + inputs["b"])
    return keras.Model(
        inputs, {"digit": LAYERS.Dense(10, "softmax", name="digit")(x), "odd": LAYERS.Dense(1, "sigmoid", name="odd")(x)}
    )


def regularised():
    return tfnn.models.add_l2(dense(), 0.01)


SPARSE = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
TOP3 = lambda: keras.metrics.SparseTopKCategoricalAccuracy(3, name="top3")
NESTEROV = lambda: tfnn.optimizers.SGD(0.05, momentum=0.9, nesterov=True)

# name: (model, optimizer, compile arguments or a function that makes them, fit arguments)
CASES = {
    "plain": (dense, lambda: tfnn.optimizers.SGD(0.1), SPARSE, {}),
    "Nesterov": (dense, NESTEROV, SPARSE, {}),
    "Keras's Adam with a schedule": (
        dense,
        lambda: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, 12)),
        SPARSE,
        {},
    ),
    "Keras's AdamW, clipping, EMA": (
        dense,
        lambda: keras.optimizers.AdamW(0.01, global_clipnorm=0.5, use_ema=True),
        SPARSE,
        {},
    ),
    "warm-up": (dense, lambda: tfnn.optimizers.SGD(tfnn.schedules.Warmup(tfnn.schedules.Cosine(0.1, 20), 4)), SPARSE, {}),
    "batch size that divides": (dense, NESTEROV, SPARSE, {"batch_size": 40}),
    "full batch": (dense, NESTEROV, SPARSE, {"batch_size": 200}),
    "batch size above the data": (dense, NESTEROV, SPARSE, {"batch_size": 500}),
    "default batch size": (dense, NESTEROV, SPARSE, {"batch_size": None}),
    "BatchNorm": (convolutional, NESTEROV, SPARSE, {}),
    "L2": (regularised, NESTEROV, SPARSE, {}),
    "validation data": (dense, NESTEROV, SPARSE, {"validation": 70}),
    "validation with weights": (
        dense,
        NESTEROV,
        {**SPARSE, "weighted_metrics": ["accuracy"]},
        {"validation": 70, "weighted": True},
    ),
    "validation every 2nd epoch": (dense, NESTEROV, SPARSE, {"validation": 70, "validation_freq": 2}),
    "validation batch size": (convolutional, NESTEROV, SPARSE, {"validation": 70, "validation_batch_size": 16}),
    "validation split": (dense, NESTEROV, SPARSE, {"validation_split": 0.25}),
    "sample weights": (dense, NESTEROV, {**SPARSE, "weighted_metrics": ["accuracy"]}, {"weighted": True}),
    "class weights": (dense, NESTEROV, SPARSE, {"class_weight": {0: 3.0, 7: 0.5}}),
    "class weights and validation split": (dense, NESTEROV, SPARSE, {"class_weight": {0: 9.0}, "validation_split": 0.25}),
    "one-hot labels": (dense, NESTEROV, {"loss": "categorical_crossentropy", "metrics": ["accuracy"]}, {"one_hot": True}),
    "loss that is a sum": (
        dense,
        lambda: tfnn.optimizers.SGD(0.001),
        {"loss": keras.losses.SparseCategoricalCrossentropy(reduction="sum")},
        {},
    ),
    "several metrics": (dense, NESTEROV, lambda: {**SPARSE, "metrics": ["accuracy", TOP3()]}, {}),
    "two inputs, two outputs": (
        two_headed,
        NESTEROV,
        {
            "loss": {"digit": "sparse_categorical_crossentropy", "odd": "binary_crossentropy"},
            "loss_weights": {"digit": 1.0, "odd": 0.3},
            "metrics": {"digit": ["accuracy"], "odd": ["accuracy"]},
        },
        {"two": True},
    ),
    "initial epoch": (dense, NESTEROV, SPARSE, {"initial_epoch": 1}),
    "early stopping": (
        dense,
        NESTEROV,
        SPARSE,
        {"validation": 70, "callbacks": lambda: [keras.callbacks.EarlyStopping("loss", min_delta=9)]},
    ),
    "rate set by a callback": (
        dense,
        NESTEROV,
        SPARSE,
        {"callbacks": lambda: [keras.callbacks.LearningRateScheduler(lambda e: 0.1 / (e + 1))]},
    ),
    "integer images": (dense, lambda: tfnn.optimizers.SGD(1e-3), SPARSE, {"scale": 16}),
}


def arguments(digits, case):
    """(x, y, the rest) of one case, on 200 digits."""
    case = dict(case)
    part = digits.train
    flat = lambda rows: part.x[rows].reshape(-1, 64)
    x, y = flat(slice(200)), part.y[:200]
    held_x, held_y = flat(slice(200, 200 + case.get("validation", 0))), part.y[200 : 200 + case.get("validation", 0)]
    if case.pop("scale", 1) == 1:
        x, held_x = (a.astype(np.float64) / 16 for a in (x, held_x))
    weight = np.random.RandomState(0).uniform(0.2, 2, 300)
    weighted = case.pop("weighted", False)
    if weighted:
        case["sample_weight"] = weight[:200]
    if case.pop("validation", 0):
        case["validation_data"] = (held_x, held_y, weight[: len(held_y)]) if weighted else (held_x, held_y)
    if case.pop("one_hot", False):
        y = keras.utils.to_categorical(y, 10)
    if case.pop("two", False):
        x, y = {"a": x, "b": x[:, ::-1].copy()}, {"digit": y, "odd": (y % 2)[:, None].astype(np.float32)}
    return x, y, {"batch_size": 48, "epochs": 4, "shuffle": False, "verbose": 0, **case}


def trained(digits, case, fit, **more):
    build, optimizer, compiling, fitting = CASES[case]
    keras.utils.set_random_seed(5)
    model = build()
    model.compile(optimizer(), **(compiling() if callable(compiling) else compiling))
    x, y, rest = arguments(digits, fitting)
    if "callbacks" in rest:
        rest["callbacks"] = rest["callbacks"]()
    history = fit(model, x, y, **rest, **more)
    return model, history


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_weights_and_history_are_those_of_model_fit(digits, case, jit_compile):
    theirs, expected = trained(digits, case, keras.Model.fit)
    ours, found = trained(digits, case, tfnn.fit, jit_compile=jit_compile)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    for a, b in zip(ours.optimizer.variables, theirs.optimizer.variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert list(found.history) == list(expected.history)
    assert found.epoch == expected.epoch
    for name, values in expected.history.items():
        np.testing.assert_allclose(found.history[name], values, rtol=1e-5, atol=1e-6, err_msg=name)
    assert found.traces == 1


def test_another_order_gives_other_weights(digits):
    """The tolerance above can tell: a single pair of examples exchanged between batches is seen."""
    model, _ = trained(digits, "plain", tfnn.fit)
    again, _ = trained(digits, "plain", lambda m, x, y, **k: tfnn.fit(m, np.roll(x, 1, 0), np.roll(y, 1, 0), **k))
    assert not np.allclose(model.get_weights()[0], again.get_weights()[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(digits, policy):
    keras.config.set_dtype_policy(policy)
    try:
        results = [trained(digits, "Nesterov", fit)[0].get_weights() for fit in (keras.Model.fit, tfnn.fit)]
    finally:
        keras.config.set_dtype_policy("float32")
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-2)
