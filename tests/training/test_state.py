"""The state of a run: all of it, to the last bit, into a model built again."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.needs import MULTI_OPTIMIZER
from tfnn.internals.callbacks import FIELDS
from tfnn.training.graph.compiled import Compiled
from tfnn.training.graph.variables import variables_of
from tfnn.training.resume import callback_state, checkpoint
from tfnn.training.resume.fingerprint import differences, digest, fingerprint
from tfnn.training.resume.state import capture, restore

X = np.random.RandomState(0).normal(size=(20, 8, 8, 1)).astype("float32")
Y = np.random.RandomState(1).randint(0, 3, 20)


def net():
    """With layers that hold seeds of Keras and of tfnn, moving statistics, a frozen weight, two layers of one kind."""
    layers = keras.layers
    frozen = layers.Dense(5, "tanh")
    frozen.trainable = False
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            tfnn.layers.RandomFlip(),
            layers.RandomContrast(0.2),
            layers.Conv2D(2, 3, strides=2),
            tfnn.layers.BatchNormalization(),
            layers.Flatten(),
            frozen,
            layers.Dense(5, "relu"),
            layers.Dropout(0.3),
            tfnn.layers.Dropout(0.2),
            layers.Dense(3, "softmax"),
        ]
    )


def compiled(optimizer, build=net, built=True, metrics=("accuracy",)):
    model = build()
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=list(metrics), jit_compile=False)
    if built:
        Compiled(model).build((tf.constant(X), tf.constant(Y), None))
    return model


def updates(model, count=2):
    for _ in range(count):
        model.train_on_batch(X, Y)


def through_a_file(directory, state):
    return checkpoint.read(checkpoint.write(directory, "update-00000001", *state))


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype, name
        np.testing.assert_array_equal(a[name].tobytes(), b[name].tobytes(), err_msg=name)


def of_two():
    head, rest = tfnn.optimizers.SGD(0.1, momentum=0.9), keras.optimizers.Adam(0.01)
    return keras.optimizers.MultiOptimizer(lambda weight: head if "dense" in weight.path else rest)


OPTIMIZERS = {
    "Adam": lambda: tfnn.optimizers.Adam(0.01),
    "AMSGrad": lambda: tfnn.optimizers.Adam(0.01, amsgrad=True, use_ema=True),
    "momentum": lambda: tfnn.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "averages": lambda: tfnn.optimizers.SGD(0.1, momentum=0.9, use_ema=True, ema_overwrite_frequency=2),
    "accumulated": lambda: tfnn.optimizers.SGD(0.1, gradient_accumulation_steps=2),
    "schedule": lambda: tfnn.optimizers.SGD(tfnn.schedules.Cosine(0.1, 10)),
    "callable rate": lambda: tfnn.optimizers.SGD(lambda: 0.1),
    "Keras's Adam": lambda: keras.optimizers.Adam(0.01, use_ema=True),
    "loss scale": lambda: keras.optimizers.LossScaleOptimizer(tfnn.optimizers.Adam(0.01), dynamic_growth_steps=3),
    "Keras's loss scale": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01, momentum=0.9)),
    "of two": of_two,
}
CASES = [(name, True) for name in OPTIMIZERS if name != "of two"] + [("Adam", False), ("loss scale", False)]
CASES += [pytest.param("of two", built, marks=MULTI_OPTIMIZER) for built in (True, False)]


@pytest.mark.parametrize("name, built", CASES)
def test_a_model_built_again_takes_the_state_and_goes_on_alike(name, built, tmp_path):
    model = compiled(OPTIMIZERS[name]())
    updates(model, 3)
    arrays, meta = through_a_file(tmp_path, capture(model))
    again = compiled(OPTIMIZERS[name]())
    if not built:
        again.optimizer = OPTIMIZERS[name]()
    updates(again, 1 if built else 0)
    assert differences(meta, again) == []
    restore(again, [], arrays, meta)
    assert_equal(capture(again)[0], arrays)
    updates(model)
    updates(again)
    assert_equal(capture(again)[0], capture(model)[0])


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16", "float64"])
def test_other_precisions_come_back(policy, tmp_path):
    make = lambda: compiled(tfnn.optimizers.SGD(0.01, momentum=0.9))
    keras.config.set_dtype_policy(policy)
    try:
        model, again = make(), make()
    finally:
        keras.config.set_dtype_policy("float32")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) == (policy == "mixed_float16")
    updates(model)
    arrays, meta = through_a_file(tmp_path, capture(model))
    restore(again, [], arrays, meta)
    assert_equal(capture(again)[0], arrays)


def test_all_that_an_update_changes_is_in_the_state():
    """With the state of after one update in place of a fresh one, what follows must be the same: nothing else may count."""
    model = compiled(keras.optimizers.Adam(0.01))
    updates(model)
    state = capture(model)
    assert {name.split("/")[0] for name in state[0]} == {"weights", "metrics", "seeds", "variables", "optimizer"}
    assert sum(name.startswith("seeds/") for name in state[0]) == 4  # one of each random layer
    updates(model)
    after = capture(model)[0]
    restore(model, [], *state)
    updates(model)
    assert_equal(capture(model)[0], after)


def test_without_the_seeds_that_keras_leaves_out_it_would_go_on_otherwise():
    model = compiled(keras.optimizers.SGD(0.01))
    arrays, meta = capture(model)
    updates(model, 1)
    after = capture(model)[0]
    dropout = [name for name in arrays if name.startswith("seeds/")][2]
    assert (after[dropout] != arrays[dropout]).any()
    restore(model, [], {**arrays, dropout: arrays[dropout] + 1}, meta)
    updates(model, 1)
    assert (capture(model)[0]["weights/8/kernel"] != after["weights/8/kernel"]).any()


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_run_goes_on_as_if_it_had_not_ended(jit_compile):
    def dense():
        dropouts = keras.layers.Dropout(0.3), tfnn.layers.Dropout(0.2)
        return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), *dropouts, keras.layers.Dense(3, "softmax")])

    fit = lambda model, first, last: tfnn.fit(model, X, Y, 8, last, 0, initial_epoch=first, seed=5, jit_compile=jit_compile)
    model = compiled(tfnn.optimizers.Adam(0.01), dense)
    fit(model, 0, 2)
    arrays, meta = capture(model)
    fit(model, 2, 4)
    again = compiled(tfnn.optimizers.Adam(0.01), dense)
    restore(again, [], arrays, meta)
    fit(again, 2, 4)
    assert_equal(capture(again)[0], capture(model)[0])


def test_the_global_seed_comes_back():
    class Noise(keras.layers.Layer):
        def call(self, x):
            return x + keras.random.normal(keras.ops.shape(x))

    model = compiled(keras.optimizers.SGD(0.01), lambda: keras.Sequential([keras.Input((8, 8, 1)), Noise(), *net().layers]))
    updates(model, 1)
    state = capture(model)
    updates(model, 1)
    after = capture(model)[0]
    assert (after["seeds/global"] != state[0]["seeds/global"]).any()
    restore(model, [], *state)
    updates(model, 1)
    assert_equal(capture(model)[0], after)


def test_numbers_set_in_a_run_come_back():
    model = compiled(tfnn.optimizers.SGD(0.1, momentum=0.5))
    model.optimizer.momentum, model.optimizer.learning_rate = 0.7, 0.03
    dropout = next(layer for layer in model.layers if isinstance(layer, tfnn.layers.Dropout))
    dropout.rate = 0.6
    state = capture(model)
    rate = tf.Variable(0.2)
    again = compiled(tfnn.optimizers.SGD(0.1, momentum=0.5))
    restore(again, [], *state)
    assert again.optimizer.momentum == 0.7 and float(again.optimizer.learning_rate) == np.float32(0.03)
    assert next(layer for layer in again.layers if isinstance(layer, tfnn.layers.Dropout)).rate == pytest.approx(0.6)
    with_variable = compiled(tfnn.optimizers.SGD(rate))
    state = capture(with_variable)
    rate.assign(0.9)
    restore(with_variable, [], *state)
    assert float(rate) == np.float32(0.2)


def test_the_order_in_which_weights_joined_does_not_matter():
    def build():
        return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), *map(keras.layers.Dense, (4, 4, 3))])

    model = build()
    model.layers[1].trainable = False
    model.compile(tfnn.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    updates(model)
    model.layers[1].trainable = True
    model.compile(model.optimizer, "sparse_categorical_crossentropy")
    updates(model)
    arrays, meta = capture(model)
    again = build()
    again.compile(tfnn.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    Compiled(again).build((tf.constant(X), tf.constant(Y), None))
    restore(again, [], arrays, meta)
    for weight, twin in zip(model.trainable_weights, again.trainable_weights, strict=True):
        for (_, a), (_, b) in zip(model.optimizer.entries([weight]), again.optimizer.entries([twin]), strict=True):
            np.testing.assert_array_equal(a, b)


def test_layers_of_augmentation_belong_to_the_state():
    model = compiled(keras.optimizers.SGD(0.01))
    flip, cut = keras.layers.RandomFlip(), lambda x: x
    flip(X, training=True)
    state = capture(model, variables=lambda: variables_of(model, (flip, cut)))
    after = flip(X, training=True)
    restore(model, [], *state, variables=lambda: variables_of(model, (flip, cut)))
    np.testing.assert_array_equal(flip(X, training=True), after)


def test_the_stop_flag_comes_back():
    model = compiled(keras.optimizers.SGD(0.01))
    model.stop_training = True
    state = capture(model)
    model.stop_training = False
    restore(model, [], *state)
    assert model.stop_training is True


# Refusals


def test_the_same_model_is_no_other():
    meta = capture(compiled(tfnn.optimizers.Adam(0.01)))[1]
    assert differences(meta, compiled(tfnn.optimizers.Adam(0.5, beta_1=0.8))) == []  # numbers that are restored
    assert differences(meta, compiled(tfnn.optimizers.Adam(0.01), built=False, metrics=())) == [
        "metrics are loss, the checkpoint's loss, accuracy"
    ]


def mlp(units=4, name=None, activation="relu", dtype="float32"):
    return lambda: keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(units, activation, name=name, dtype=dtype)]
    )


def frozen():
    model = mlp()()
    model.layers[1].trainable = False
    return model


@pytest.mark.parametrize(
    "build, optimizer, expected",
    [
        (mlp(3, "d"), keras.optimizers.SGD, ["d/kernel has shape (64, 3), the checkpoint's (64, 4)"]),
        (mlp(4, "d", dtype="float16"), keras.optimizers.SGD, ["d/kernel is float16, the checkpoint's float32"]),
        (mlp(), keras.optimizers.Adam, ["optimizer is keras.Adam, the checkpoint's keras.SGD"]),
        (mlp(), tfnn.optimizers.SGD, ["optimizer is tfnn.SGD, the checkpoint's keras.SGD"]),
        (mlp(), lambda: keras.optimizers.SGD(0.1, 0.9), ["optimizer's momentum is 0.9, the checkpoint's 0.0"]),
        (frozen, keras.optimizers.SGD, ["is frozen, the checkpoint's is trained"]),
        (net, keras.optimizers.SGD, ["the model has 12 weights, the checkpoint's 2"]),
        (
            mlp(),
            lambda: keras.optimizers.SGD(tfnn.schedules.Cosine(0.1, 5)),
            ["optimizer's learning_rate is {", "'Cosine'", "the checkpoint's None"],
        ),
        (
            mlp(),
            lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()),
            ["optimizer is keras.LossScaleOptimizer, the checkpoint's keras.SGD"],
        ),
    ],
)
def test_what_differs_is_said(build, optimizer, expected):
    meta = capture(compiled(keras.optimizers.SGD(), mlp()))[1]
    found = differences(meta, compiled(optimizer(), build))
    assert found and all(part in found[0] for part in expected)


def test_nothing_changes_where_the_state_does_not_fit():
    model = compiled(keras.optimizers.SGD(), mlp(4))
    other = compiled(keras.optimizers.SGD(), mlp(3))
    before = capture(other)[0]
    with pytest.raises(ValueError, match=r"weights/0/kernel is float32 \(64, 3\), the checkpoint's float32 \(64, 4\)"):
        restore(other, [], *capture(model))
    assert_equal(capture(other)[0], before)
    unbuilt = compiled(keras.optimizers.SGD(), mlp(4), built=False)
    with pytest.raises(ValueError, match="metrics/2/total is none, the checkpoint's float32"):
        restore(unbuilt, [], *capture(model))


def test_the_fingerprint_is_that_of_the_start_after_a_run():
    model = compiled(tfnn.optimizers.SGD(0.1, momentum=0.9))
    before = fingerprint(model)
    updates(model)
    model.optimizer.learning_rate = 0.01
    assert fingerprint(model) == before


def test_rates_that_were_scaled_for_some_weights_belong_to_the_fingerprint():
    def scaled(*factors, inside=lambda optimizer: optimizer):
        model, part = mlp(name="d")(), tfnn.optimizers.SGD(0.1)
        for weight, factor in zip(model.weights, factors):
            part.scale_learning_rate([weight], factor)
        return compiled(inside(part), lambda: model)

    meta = capture(scaled(0.5, 0.25))[1]
    assert differences(meta, scaled(0.5, 0.25)) == []
    assert differences(capture(scaled())[1], scaled(1, 1)) == []
    (found,) = differences(meta, scaled())
    assert "d/kernel and 1 more are scaled otherwise: 1 times, the checkpoint's 0.5 times" in found
    assert "d/bias is scaled otherwise: 0.3 times" in differences(meta, scaled(0.5, 0.3))[0]
    inside = keras.optimizers.LossScaleOptimizer
    assert "d/kernel is scaled" in differences(capture(scaled(inside=inside))[1], scaled(0.5, inside=inside))[0]
    del meta["fingerprint"]["rates"]  # of an earlier version
    assert differences(meta, scaled()) == []


def test_a_digest_tells_data_apart():
    x, y = X.copy(), Y.copy()
    same = digest((x, y, None))
    assert digest((tf.constant(x), tf.constant(y), None)) == same == digest((np.asfortranarray(x), y, None))
    changed = x.copy()
    changed[3, 2, 1, 0] = np.nextafter(changed[3, 2, 1, 0], 9, dtype="float32")
    others = [
        (changed, y, None),
        (x, y.astype("int32"), None),
        (x.reshape(20, 64), y, None),
        (x, None, y),
        (x, y),
        (y, x, None),
    ]
    others += [({"a": x}, y, None), ({"b": x}, y, None), (x[::-1], y, None), (x, y, np.zeros(0, bool))]
    assert len({same, *map(digest, others)}) == len(others) + 1
    assert digest(tf.constant(["ab", "c"])) != digest(tf.constant(["a", "bc"]))
    assert digest(tf.constant([1.0], tf.bfloat16)) != digest(tf.constant([1.0], tf.float16))


# Callbacks


class Counting(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.state = {}

    def get_state(self):
        return self.state

    def set_state(self, state):
        self.state = state


def round_trip(callbacks, others, tmp_path):
    arrays = {}
    captured = callback_state.capture(callbacks, arrays)
    arrays, meta = through_a_file(tmp_path, (arrays, {"callbacks": captured}))
    callback_state.restore(others, meta["callbacks"], arrays)


def test_kerass_callbacks_take_their_state(tmp_path):
    make = lambda: [
        keras.callbacks.History(),
        keras.callbacks.EarlyStopping("loss", patience=3, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau("loss", cooldown=3),
        keras.callbacks.EarlyStopping("accuracy"),
        keras.callbacks.ModelCheckpoint("a.keras", save_freq=5),
        keras.callbacks.SwapEMAWeights(),
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.1),
    ]
    callbacks, others = make(), make()
    callbacks[0].history, callbacks[0].epoch = {"loss": [0.1, float("nan")], "n": [1]}, [0, 1]
    callbacks[1].wait, callbacks[1].best, callbacks[1].best_weights = 2, 0.1 + 0.2, [np.ones((2, 2), "float16"), np.array(3)]
    callbacks[2].best, callbacks[2].cooldown_counter = np.float32(0.1), 2
    callbacks[3].best = float("-inf")
    callbacks[4]._batches_seen_since_last_saving, callbacks[4]._last_batch_seen = 3, 7
    callbacks[5]._ema_weights_in_model = True
    round_trip(callbacks, others, tmp_path)
    for callback, other in zip(callbacks, others):
        for names in (names for base, names in FIELDS.items() if isinstance(callback, base)):
            for name in names:
                np.testing.assert_equal(getattr(other, name, None), getattr(callback, name, None), err_msg=name)
    assert isinstance(others[2].best, np.float32) and others[1].best_weights[0].dtype == np.float16


def test_every_attribute_of_the_table_is_one_of_kerass(tmp_path):
    model = compiled(keras.optimizers.SGD())
    made = {
        keras.callbacks.ModelCheckpoint: lambda: keras.callbacks.ModelCheckpoint("a.keras"),
        keras.callbacks.BackupAndRestore: lambda: keras.callbacks.BackupAndRestore(tmp_path),
        keras.callbacks.TensorBoard: lambda: keras.callbacks.TensorBoard(tmp_path),
    }
    for base, names in FIELDS.items():
        callback = made.get(base, base)()
        callback.set_model(model)
        callback.on_train_begin()
        callback.on_epoch_begin(0)
        assert [name for name in names if not hasattr(callback, name)] == []


def test_a_callback_of_the_users_takes_part_by_two_methods(tmp_path):
    first, second, third, fourth = (Counting() for _ in range(4))
    first.state = {1: (2, [None, "é"]), "array": np.arange(3), "scalar": np.float64(0.5), "tensor": tf.constant([1.0])}
    second.state = 7
    round_trip([first, keras.callbacks.TerminateOnNaN(), second], [third, fourth], tmp_path)
    assert fourth.state == 7
    np.testing.assert_equal(third.state, {**first.state, "tensor": np.array([1.0], "float32")})
    third.state["array"] += 1  # its own, and not the file's


def test_what_cannot_be_kept_is_refused():
    callback = Counting()
    callback.state = {"best": object()}
    with pytest.raises(ValueError, match="callbacks/0/Counting/own/best must hold numbers, .* got a object"):
        callback_state.capture([callback], {})


def test_state_without_its_callback_warns(tmp_path):
    with pytest.warns(UserWarning, match="the state of a callback EarlyStopping, and there is none"):
        round_trip([keras.callbacks.EarlyStopping()], [keras.callbacks.ReduceLROnPlateau()], tmp_path)


@pytest.mark.parametrize("append", [False, True])
def test_a_table_goes_on_where_the_checkpoint_was_taken(append, tmp_path):
    path = tmp_path / "log.csv"
    log = lambda: keras.callbacks.CSVLogger(path, append=append)
    logger, whole = log(), ["epoch,loss,val_loss", "0,0.5,NA", "1,0.25,NA", "2,0.125,NA"]
    logger.on_train_begin()
    for epoch in range(3):
        if epoch == 2:
            arrays = {}
            captured = callback_state.capture([logger], arrays)
        logger.on_epoch_end(epoch, {"loss": 0.5 ** (epoch + 1)})
    again = log()
    again.on_train_begin()
    callback_state.restore([again], captured, arrays)
    again.on_epoch_end(2, {"loss": 0.125})
    again.on_train_end()
    assert path.read_text().splitlines() == whole
