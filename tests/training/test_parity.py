"""`tfnn.fit` gives what `model.fit` gives, weight for weight and number for number: what models and `compile` may hold."""

import functools
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.needs import has
from tests.training.models import (
    MASKED,
    MASKED_X,
    MASKED_Y,
    TWO,
    TWO_X,
    TWO_Y,
    Autoencoder,
    MoreLogs,
    OnlyOwnMetrics,
    OwnLoss,
    OwnMetrics,
    OwnTestStep,
    OwnTrainStep,
    TellsMuch,
    Unbuilt,
    images,
    masked,
    regularised,
    two_headed,
    two_lists,
    with_add_loss,
    with_penalties,
)
from tests.training.oracle import (
    DATA,
    HELD,
    HELD_W,
    LAYERS,
    RUN,
    W,
    X,
    Y,
    assert_same_run,
    compare,
    compiled,
    dense,
    fit,
    trained,
)


def sgd():
    return tfnn.optimizers.SGD(0.1)


def own(kind, **options):
    return compiled(functools.partial(dense, kind=kind), **options)


class Centralised(keras.optimizers.SGD):
    """Its `apply_gradients` is its own: gradient centralisation (Yong et al. 2020, arXiv:2004.01461)."""

    def apply_gradients(self, grads_and_vars):
        centred = [(g - tf.reduce_mean(g, 0, keepdims=True) if len(g.shape) > 1 else g, v) for g, v in grads_and_vars]
        return super().apply_gradients(centred)


def clipping(optimizer):
    """An optimizer that is wrapped by hand, on the object."""
    apply = optimizer.apply_gradients
    optimizer.apply_gradients = lambda pairs: apply([(tf.clip_by_norm(g, 0.01), v) for g, v in pairs])
    return optimizer


class Lookahead(keras.optimizers.Optimizer):
    """An optimizer that holds another (Zhang et al. 2019, arXiv:1907.08610)."""

    def __init__(self, inner, every=2, share=0.5):
        super().__init__(float(inner.learning_rate))
        self.inner, self.every, self.share = inner, every, share

    def build(self, variables):
        super().build(variables)
        self.inner.build(variables)
        self.slow = self.add_optimizer_variables(variables, "slow")
        with tf.init_scope():  # once, and not in each step of what is traced
            for slow, fast in zip(self.slow, variables):
                slow.assign(fast)

    def apply_gradients(self, grads_and_vars):
        pairs = list(grads_and_vars)
        if not self.built:
            self.build([v for _, v in pairs])
        self.inner.apply_gradients(pairs)
        due = self.iterations % self.every == self.every - 1
        for slow, (_, fast) in zip(self.slow, pairs):
            slow.assign(tf.where(due, slow + self.share * (fast - slow), slow))
            fast.assign(tf.where(due, slow, fast))
        self.iterations.assign_add(1)
        return self.iterations


def hinge(y, y_pred):
    return tf.reduce_mean(tf.nn.relu(1 - y_pred + tf.cast(y, y_pred.dtype)[:, None]), -1)


def sharpness(y, y_pred):
    return tf.reduce_max(y_pred, -1)


ODD = lambda part: {"kind": part, "odd": part[::-1].copy()}


def float8():
    """A net of eight-bit floats, whose scales are weights that take their gradient for their value."""
    model = keras.Sequential([keras.Input((6,)), LAYERS.Dense(16, "relu"), LAYERS.Dense(3, "softmax")])
    model.quantize("float8")
    return model


SPARSE = keras.losses.SparseCategoricalCrossentropy
VALIDATED = {"validation_data": HELD}
KERAS, ADAM = keras.optimizers, tfnn.optimizers.Adam
DROPOUT = lambda: LAYERS.Dropout(0.5, seed=3)

# name: (a function that makes the compiled model, arguments of fit besides x, y)
CASES = {
    "plain": (compiled(optimizer=sgd), {}),
    "Nesterov": (compiled(), {}),
    "optimizer by name": (compiled(optimizer=lambda: "rmsprop"), {}),
    "Keras's Adam with a schedule": (compiled(optimizer=lambda: KERAS.Adam(KERAS.schedules.CosineDecay(0.01, 9))), {}),
    "Keras's AdamW, norm clipped, EMA": (
        compiled(optimizer=lambda: KERAS.AdamW(0.01, global_clipnorm=0.5, use_ema=True, ema_momentum=0.9)),
        VALIDATED,
    ),
    "EMA that overwrites": (
        compiled(optimizer=lambda: KERAS.SGD(0.1, use_ema=True, ema_overwrite_frequency=3, clipnorm=0.3)),
        {},
    ),
    "tfnn's Adam, values clipped, EMA": (
        compiled(optimizer=lambda: tfnn.optimizers.Adam(0.01, clipvalue=0.05, use_ema=True)),
        {},
    ),
    "Keras's accumulation": (compiled(optimizer=lambda: KERAS.SGD(0.1, gradient_accumulation_steps=2)), {}),
    "scaled loss": (compiled(optimizer=lambda: KERAS.SGD(0.1, loss_scale_factor=8.0)), {}),
    "dynamic loss scale": (compiled(optimizer=lambda: KERAS.LossScaleOptimizer(sgd())), {}),
    "an apply_gradients of an optimizer's own": (compiled(optimizer=lambda: Centralised(0.1, momentum=0.9)), VALIDATED),
    "an apply_gradients that is wrapped": (compiled(optimizer=lambda: clipping(sgd())), {}),
    "an optimizer in another": (compiled(optimizer=lambda: Lookahead(KERAS.SGD(0.1, momentum=0.9))), {}),
    "float8": (compiled(float8, optimizer=lambda: ADAM(0.01)), {}),
    "warm-up": (compiled(optimizer=lambda: tfnn.optimizers.SGD(tfnn.schedules.Warmup(tfnn.schedules.Cosine(0.1, 20), 4))), {}),
    "batch size that divides": (compiled(), {"batch_size": 20}),
    "full batch": (compiled(), {"batch_size": 60}),
    "batch size above the data": (compiled(), {"batch_size": 500}),
    "default batch size": (compiled(), {"batch_size": None}),
    "tfnn's BatchNorm": (compiled(lambda: images(tfnn.layers.BatchNormalization, LAYERS.ReLU)), VALIDATED),
    "Keras's BatchNorm": (compiled(lambda: images(LAYERS.BatchNormalization, LAYERS.ReLU)), VALIDATED),
    "L2": (compiled(regularised), VALIDATED),
    "Keras's regularizers": (compiled(with_penalties), VALIDATED),
    "add_loss": (compiled(with_add_loss), VALIDATED),
    "add_loss without labels": (compiled(Autoencoder, loss=None, metrics=None), {"y": None, "validation_data": (HELD[0],)}),
    "subclass that is not built": (compiled(Unbuilt), VALIDATED),
    "Sequential that is not built": (compiled(lambda: keras.Sequential([LAYERS.Dense(3, "softmax")])), VALIDATED),
    "validation data": (compiled(), VALIDATED),
    "validation with weights": (
        compiled(weighted_metrics=lambda: ["accuracy"]),
        {"validation_data": (*HELD, HELD_W), "sample_weight": W},
    ),
    "validation every 2nd epoch": (compiled(), {**VALIDATED, "validation_freq": 2}),
    "validation after epochs 1 and 3": (compiled(), {**VALIDATED, "validation_freq": [1, 3]}),
    "validation batch size": (
        compiled(lambda: images(tfnn.layers.BatchNormalization)),
        {**VALIDATED, "validation_batch_size": 8},
    ),
    "validation steps": (compiled(), {**VALIDATED, "validation_batch_size": 8, "validation_steps": 2}),
    "validation split": (compiled(), {"validation_split": 0.25}),
    "validation split with weights": (
        compiled(weighted_metrics=lambda: ["accuracy"]),
        {"validation_split": 0.25, "sample_weight": W},
    ),
    "sample weights": (compiled(weighted_metrics=lambda: ["accuracy"]), {"sample_weight": W}),
    "class weights": (compiled(weighted_metrics=lambda: ["accuracy"]), {"class_weight": {0: 3.0, 2: 0.5}}),
    "class weights and validation split": (compiled(), {"class_weight": {0: 9.0}, "validation_split": 0.25}),
    "class weights of one-hot labels": (
        compiled(loss="categorical_crossentropy"),
        {"y": np.eye(3)[Y], "class_weight": {1: 4.0}},
    ),
    "initial epoch": (compiled(), {"initial_epoch": 1}),
    "no epoch left": (compiled(), {"initial_epoch": 3}),
    "steps of an epoch": (compiled(), {"steps_per_epoch": 2}),
    "one-hot labels": (compiled(loss="categorical_crossentropy"), {"y": np.eye(3)[Y]}),
    "one column of labels": (compiled(), {"y": Y[:, None]}),
    "logits": (compiled(lambda: dense(activation=None), loss=SPARSE(from_logits=True)), VALIDATED),
    "loss that is a sum": (compiled(optimizer=lambda: tfnn.optimizers.SGD(0.001), loss=SPARSE(reduction="sum")), VALIDATED),
    "loss that is a function": (compiled(loss=hinge, metrics=None), VALIDATED),
    "metric that is a function": (compiled(metrics=(sharpness,)), VALIDATED),
    "several metrics": (
        compiled(metrics=lambda: ["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2, name="top2")]),
        VALIDATED,
    ),
    "metrics of curves": (
        compiled(
            lambda: dense(1, "sigmoid"),
            loss="binary_crossentropy",
            metrics=lambda: [keras.metrics.AUC(num_thresholds=20, name="auc"), keras.metrics.Precision(name="precision")],
        ),
        {"y": (Y == 1)[:, None].astype(np.float32), "validation_split": 0.25},
    ),
    "two inputs, two outputs": (
        compiled(two_headed, **TWO, loss_weights={"kind": 1.0, "odd": 0.3}),
        {**DATA, "x": TWO_X, "y": TWO_Y, "validation_split": 0.25},
    ),
    "two outputs behind a mask": (compiled(masked, **MASKED), {**DATA, "x": MASKED_X, "y": MASKED_Y, "validation_split": 0.25}),
    "two outputs with weights": (
        compiled(two_headed, **TWO, weighted_metrics=lambda: {"odd": ["accuracy"]}),
        {**DATA, "x": TWO_X, "y": TWO_Y, "sample_weight": ODD(W)},
    ),
    "two outputs, one with a loss": (
        compiled(two_headed, loss={"kind": "sparse_categorical_crossentropy"}, metrics={"kind": ["accuracy"]}),
        {**DATA, "x": TWO_X, "y": TWO_Y},
    ),
    "lists of arrays": (
        compiled(
            two_lists, loss=["sparse_categorical_crossentropy", "mse"], metrics=[["accuracy"], ["mae"]], loss_weights=[1, 0.2]
        ),
        {**DATA, "x": [X, X[::-1].copy()], "y": [Y, W], "validation_data": ([HELD[0], -HELD[0]], [HELD[1], HELD_W])},
    ),
    "own train_step": (own(OwnTrainStep, metrics=None), {**VALIDATED, "sample_weight": W}),
    "own train_step on top of Keras's": (own(MoreLogs), VALIDATED),
    "own steps that tell vectors and None": (own(TellsMuch, loss=None, metrics=None), VALIDATED),
    "own test_step": (own(OwnTestStep), VALIDATED),
    "own compute_loss": (own(OwnLoss), VALIDATED),
    "own compute_metrics": (own(OwnMetrics), VALIDATED),
    "own metrics only": (own(OnlyOwnMetrics), VALIDATED),
    "four steps per execution": (compiled(steps_per_execution=4), VALIDATED),
    "three steps per execution": (compiled(steps_per_execution=3), VALIDATED),
    "own train_step, three steps per execution": (own(OwnTrainStep, metrics=None, steps_per_execution=3), VALIDATED),
    "eager": (compiled(run_eagerly=True), VALIDATED),
    "own train_step, eager": (own(OwnTrainStep, metrics=None, run_eagerly=True), VALIDATED),
    "compiled by XLA": (compiled(jit_compile=True), VALIDATED),
    "own train_step, compiled by XLA": (own(OwnTrainStep, metrics=None, jit_compile=True), VALIDATED),
    "unsigned bytes": (compiled(optimizer=lambda: tfnn.optimizers.SGD(1e-3)), {**DATA, "x": (9 * abs(X)).astype(np.uint8)}),
    "double precision": (compiled(), {**DATA, "x": X.astype(np.float64), "sample_weight": W.astype(np.float64)}),
    "tensors": (compiled(), {**DATA, "x": tf.constant(X), "y": tf.constant(Y)}),
    # Keras's generator of seeds advances once per call of the layer in both, and both draw outside XLA
    "Keras's Dropout": (compiled(lambda: images(DROPOUT)), VALIDATED),
}

# The graph that XLA compiles has bodies of its own for tails, accumulation and evaluation: what these bodies branch on.
UNDER_XLA = [
    "plain",
    "batch size that divides",
    "batch size above the data",
    "tfnn's BatchNorm",
    "L2",
    "add_loss",
    "validation with weights",
    "validation steps",
    "steps of an epoch",
    "loss that is a sum",
    "two inputs, two outputs",
    "own train_step",
    "own steps that tell vectors and None",
    "own compute_metrics",
    "dynamic loss scale",
    "Keras's AdamW, norm clipped, EMA",
]
WAYS = [(case, "auto" if "XLA" in case or "eager" in case else False) for case in CASES] + [(case, True) for case in UNDER_XLA]


@functools.cache
def oracle(case):
    return trained(*CASES[case], keras.Model.fit)


@pytest.mark.parametrize("case, jit_compile", WAYS)
def test_weights_and_history_are_those_of_model_fit(case, jit_compile):
    if case == "own steps that tell vectors and None" and not has("3.15"):
        pytest.skip("needs Keras 3.15: an evaluation that tells all that a step of the model's own tells")
    theirs = oracle(case)
    ours = trained(*CASES[case], tfnn.fit, jit_compile=jit_compile)
    assert_same_run(ours, theirs)
    if "eager" not in case and case != "no epoch left":
        assert ours[1].traces == 1


def test_another_order_gives_other_weights():
    """The tolerance above can tell: a single pair of examples exchanged between batches is seen."""
    model, _ = trained(*CASES["plain"], tfnn.fit)
    order = np.r_[16, 1:16, 0, 17:60]
    again, _ = trained(CASES["plain"][0], {**DATA, "x": X[order], "y": Y[order]}, tfnn.fit)
    assert not np.allclose(model.get_weights()[0], again.get_weights()[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "form", [lambda y: y, lambda y: y[:, None], lambda y: np.eye(3)[y]], ids=["integers", "column", "one-hot"]
)
def test_balanced_classes_weigh_what_they_do_by_hand(form):
    y = np.repeat([0, 1, 2], [30, 20, 10])
    loss = "categorical_crossentropy" if form(y).shape[1:] == (3,) else "sparse_categorical_crossentropy"
    make = compiled(loss=loss, weighted_metrics=lambda: ["accuracy"])
    data = {"x": DATA["x"], "y": form(y)}
    ours = trained(make, data, fit, class_weight="balanced")
    assert_same_run(ours, trained(make, data, keras.Model.fit, class_weight={0: 60 / 90, 1: 60 / 60, 2: 60 / 30}))
    assert not np.allclose(ours[0].get_weights()[0], trained(make, data, fit)[0].get_weights()[0], 1e-4)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    """Under mixed_float16, `compile` wraps the optimizer in one that scales the loss."""
    keras.config.set_dtype_policy(policy)
    try:
        (ours, found), (theirs, expected) = (trained(*CASES["validation data"], fit) for fit in (tfnn.fit, keras.Model.fit))
    finally:
        keras.config.set_dtype_policy("float32")
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=5e-3)
    for name, values in expected.history.items():
        np.testing.assert_allclose(found.history[name], values, rtol=0.02, atol=0.02, err_msg=name)
    assert type(ours.optimizer) is type(theirs.optimizer)


def test_an_overflow_under_float16_is_skipped_and_lowers_the_scale_as_by_keras():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        make = compiled(optimizer=lambda: KERAS.LossScaleOptimizer(sgd(), initial_scale=2.0**24, dynamic_growth_steps=3))
        models = [trained(make, {}, fit)[0] for fit in (tfnn.fit, keras.Model.fit)]
    finally:
        keras.config.set_dtype_policy("float32")
    scales = [float(model.optimizer.dynamic_scale) for model in models]
    assert scales[0] == scales[1] < 2**24
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(a, b, atol=5e-3)


def test_tensorflows_switch_runs_steps_in_python_also_those_that_were_traced_before():
    seen = set()  # whether the model was called in Python on real numbers
    watcher = lambda: LAYERS.Lambda(lambda x: (seen.add(tf.executing_eagerly()), x)[1])
    grow = lambda: [tfnn.callbacks.BatchSizeScheduler({1: 32}, mode="rebatch")]
    make = compiled(lambda: keras.Sequential([keras.Input((6,)), LAYERS.Dense(3, "softmax"), watcher()]))
    traced, grown = trained(make, VALIDATED, tfnn.fit), trained(make, {}, tfnn.fit, callbacks=grow())
    calls = {
        "fit": lambda model: trained(lambda: model, VALIDATED, tfnn.fit),
        "grow": lambda model: tfnn.fit(model, X, Y, 16, 2, 0, callbacks=grow()),
        "evaluate": lambda model: tfnn.evaluate(model, X, Y, verbose=0),
        "predict": lambda model: tfnn.predict(model, X, verbose=0),
    }
    for call in calls.values():
        call(traced[0])
    tf.config.run_functions_eagerly(True)
    try:
        assert_same_run(trained(make, VALIDATED, tfnn.fit), trained(make, VALIDATED, keras.Model.fit))
        assert_same_run(trained(make, {}, tfnn.fit, callbacks=grow()), grown)
        for name, call in calls.items():
            seen.clear()
            call(traced[0])
            assert seen == {True}, name
    finally:
        tf.config.run_functions_eagerly(False)


def test_a_model_without_weights_to_train_is_only_measured():
    def frozen():
        model = dense()
        model.trainable = False
        return model

    with pytest.warns(UserWarning, match="trainable weights"):
        compare(compiled(frozen), VALIDATED)


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_what_is_printed(verbose, capsys):
    def lines(fit):
        trained(compiled(), {**VALIDATED, "verbose": verbose}, fit)
        printed = re.sub("\x1b\\[\\d+m|\b", "", capsys.readouterr().out.replace("\r", "\n")).splitlines()
        shown = [line for line in printed if line.startswith("Epoch") or "val_loss" in line]
        return [[word for word in line.split() if not word.endswith(("s", "s/step"))] for line in shown]

    found, expected = lines(tfnn.fit), lines(keras.Model.fit)
    assert len(expected) == (0 if verbose == 0 else 2 * RUN["epochs"])
    assert found == expected


def test_a_second_fit_goes_on_where_the_first_ended():
    def twice(fit):
        def run(model, **arguments):
            fit(model, **arguments)
            return fit(model, **arguments)

        return trained(compiled(optimizer=lambda: KERAS.Adam(0.01)), VALIDATED, run)

    assert_same_run(twice(tfnn.fit), twice(keras.Model.fit))


def test_fits_of_both_kinds_may_alternate():
    """Neither leaves anything in the model that the other trips over."""

    def run(*fits):
        def fit(model, **arguments):
            for fit in fits:
                history = fit(model, **arguments)
            return history

        return trained(compiled(lambda: images(tfnn.layers.BatchNormalization)), VALIDATED, fit)

    ours, theirs = tfnn.fit, keras.Model.fit
    expected = run(theirs, theirs, theirs)
    for fits in (ours, theirs, ours), (theirs, ours, theirs):
        assert_same_run(run(*fits), expected)
