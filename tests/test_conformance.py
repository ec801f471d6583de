"""What every public part must do, whatever it is. A new part needs one row in its table; a class without one fails."""

import inspect
import json
import pathlib
import subprocess
import sys
import tempfile

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn

ROOT = pathlib.Path(__file__).parent.parent
IMAGES, ROWS, RGB = (6, 8, 8, 4), (6, 5), (6, 8, 8, 3)


def adapted(layer, shape=IMAGES):
    layer.adapt(np.random.RandomState(0).normal(3, 2, shape))
    return layer


# name: (how to make it, shape of its input)
LAYERS = {
    "Standardize": (lambda: adapted(tfnn.layers.Standardize()), IMAGES),
    "Standardize of rows": (lambda: adapted(tfnn.layers.Standardize(), ROWS), ROWS),
    "Standardize in all": (lambda: adapted(tfnn.layers.Standardize(axis=None)), IMAGES),
    "Standardize, inverted": (lambda: adapted(tfnn.layers.Standardize(invert=True)), IMAGES),
    "BatchNormalization": (lambda: tfnn.layers.BatchNormalization(), IMAGES),
    "BatchNormalization of rows": (lambda: tfnn.layers.BatchNormalization(momentum=0.5), ROWS),
    "BatchNormalization, first axis": (lambda: tfnn.layers.BatchNormalization(axis=1), IMAGES),
    "BatchNormalization without γ, β": (lambda: tfnn.layers.BatchNormalization(center=False, scale=False), IMAGES),
    "BatchNormalization, ghosts": (lambda: tfnn.layers.BatchNormalization(virtual_batch_size=2), IMAGES),
    "recalibrate_batch_norm": None,  # acts on a whole model: tests/layers/test_recalibrate_batch_norm.py
    "ResidualBlock": (lambda: tfnn.layers.ResidualBlock(4), IMAGES),
    "ResidualBlock that halves": (lambda: tfnn.layers.ResidualBlock(6, strides=2), IMAGES),
    "ResidualBlock without norm": (lambda: tfnn.layers.ResidualBlock(6, normalize=False, activation="tanh"), IMAGES),
    "ResidualBlock, dropout": (lambda: tfnn.layers.ResidualBlock(4, dropout=0.5), IMAGES),
    "PreactivationBlock": (lambda: tfnn.layers.PreactivationBlock(4), IMAGES),
    "PreactivationBlock that halves": (lambda: tfnn.layers.PreactivationBlock(6, strides=2, dropout=0.5), IMAGES),
    "PreactivationBlock without norm": (lambda: tfnn.layers.PreactivationBlock(6, normalize=False), IMAGES),
    "RandomFlip": (lambda: tfnn.layers.RandomFlip(), IMAGES),
    "RandomTranslation": (lambda: tfnn.layers.RandomTranslation(0.3, 0.3, "wrap"), IMAGES),
    "RandomRotation": (lambda: tfnn.layers.RandomRotation(0.3, "constant"), IMAGES),
    "RandomZoom": (lambda: tfnn.layers.RandomZoom(0.3, fill_mode="nearest"), IMAGES),
    "RandomShear": (lambda: tfnn.layers.RandomShear(0.3, 0.3), IMAGES),
    "RandomCrop": (lambda: tfnn.layers.RandomCrop(6, 5, padding=1), IMAGES),
    "RandomResizedCrop": (lambda: tfnn.layers.RandomResizedCrop(6, 5), IMAGES),
    "RandomGaussianNoise": (lambda: tfnn.layers.RandomGaussianNoise((0, 0.2), (-10, 10)), IMAGES),
    "RandomErasing": (lambda: tfnn.layers.RandomErasing(value_range=(-10, 10)), IMAGES),
    "RandomBrightness": (lambda: tfnn.layers.RandomBrightness(0.2, (-10, 10)), IMAGES),
    "Dropout": (lambda: tfnn.layers.Dropout(0.5), IMAGES),
    "Dropout, the lecture's": (lambda: tfnn.layers.Dropout(0.3, scale_at="test"), ROWS),
    "Dropout of whole rows": (lambda: tfnn.layers.Dropout(0.3, noise_shape=(None, 1, None, None)), IMAGES),
    "SpatialDropout": (lambda: tfnn.layers.SpatialDropout(0.5), IMAGES),
    "GaussianDropout": (lambda: tfnn.layers.GaussianDropout(0.3), IMAGES),
    "RandomContrast": (lambda: tfnn.layers.RandomContrast(0.5, (-10, 10)), IMAGES),
    "RandomSaturation": (lambda: tfnn.layers.RandomSaturation(0.6, (-10, 10)), RGB),
    "RandomHue": (lambda: tfnn.layers.RandomHue(0.5, (-10, 10)), RGB),
    "Augment": (lambda: tfnn.layers.Augment([tfnn.layers.RandomHue(0.1), tfnn.layers.RandomZoom(0.3)]), RGB),
    "MixUp": None,  # acts on labels, too: tests/layers/augment/test_mixing.py
    "CutMix": None,
}
OPTIMIZERS = {
    "Optimizer": None,  # the base; its subclasses stand for it
    "SGD": lambda: tfnn.optimizers.SGD(0.1),
    "SGD, momentum": lambda: tfnn.optimizers.SGD(0.1, momentum=0.9),
    "SGD, Nesterov": lambda: tfnn.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "SGD, decay and clipping": lambda: tfnn.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.01, global_clipnorm=0.5),
    "SGD, schedule": lambda: tfnn.optimizers.SGD(tfnn.schedules.Cosine(0.1, 10), momentum=0.9),
    "Adagrad": lambda: tfnn.optimizers.Adagrad(0.1),
    "RMSprop": lambda: tfnn.optimizers.RMSprop(0.01),
    "RMSprop, centred, momentum": lambda: tfnn.optimizers.RMSprop(0.01, momentum=0.9, centered=True),
    "Adam": lambda: tfnn.optimizers.Adam(0.01),
    "Adam, AMSGrad": lambda: tfnn.optimizers.Adam(0.01, amsgrad=True),
    "Adam, slide": lambda: tfnn.optimizers.Adam(0.01, epsilon_in_root=True),
    "AdamW": lambda: tfnn.optimizers.AdamW(0.01, weight_decay=0.1),
    "AdamW, averages": lambda: tfnn.optimizers.AdamW(0.01, use_ema=True, ema_overwrite_frequency=3, clipnorm=1.0),
    "LARS": lambda: tfnn.optimizers.LARS(0.1, weight_decay=0.01, trust_coefficient=0.1),
    "LAMB": lambda: tfnn.optimizers.LAMB(0.01, weight_decay=0.1),
}
SCHEDULES = {
    "Cosine": lambda: tfnn.schedules.Cosine(0.1, 100, alpha=0.1),
    "Warmup": lambda: tfnn.schedules.Warmup(tfnn.schedules.Cosine(0.1, 100), 10, start=0.2),
    "InEpochs": lambda: tfnn.schedules.InEpochs(tfnn.schedules.Cosine(0.1, 10), steps_per_epoch=10),
    "ExponentialDecay": lambda: tfnn.schedules.ExponentialDecay(0.1, 10, 0.5),
    "InverseTimeDecay": lambda: tfnn.schedules.InverseTimeDecay(0.1, 10, 0.5, staircase=True),
    "PolynomialDecay": lambda: tfnn.schedules.PolynomialDecay(0.1, 100, power=2, cycle=True),
    "PiecewiseConstantDecay": lambda: tfnn.schedules.PiecewiseConstantDecay([10, 99.5], [0.1, 0.3, 0.01]),
    "CosineDecayRestarts": lambda: tfnn.schedules.CosineDecayRestarts(0.1, 10, t_mul=3, m_mul=0.9),
    "StepDecay": lambda: tfnn.schedules.StepDecay(0.1, 10),
    "StepDecay at milestones": lambda: tfnn.schedules.StepDecay(0.1, [10, 100], 0.5),
    "OneCycle": lambda: tfnn.schedules.OneCycle(0.1, 100, pct_start=0.1),
    "OneCycle, as in the paper": lambda: tfnn.schedules.OneCycle(0.1, 100, anneal_strategy="linear", three_phase=True),
    "linear_scaling": lambda: tfnn.schedules.Cosine(tfnn.schedules.linear_scaling(0.1, 64), 100),
    "decay_to_growth": lambda: tfnn.schedules.decay_to_growth(tfnn.schedules.StepDecay(0.1, 10), 8, 512).learning_rate,
}
INITIALIZERS = {
    "SmallNormal": lambda: tfnn.initializers.SmallNormal(seed=3),
    "LecunNormal": lambda: tfnn.initializers.LecunNormal(seed=3),
    "LecunUniform": lambda: tfnn.initializers.LecunUniform(seed=3),
    "FanOutNormal": lambda: tfnn.initializers.FanOutNormal(seed=3),
    "GlorotNormal": lambda: tfnn.initializers.GlorotNormal(seed=3),
    "GlorotUniform": lambda: tfnn.initializers.GlorotUniform(seed=3),
    "GlorotReluNormal": lambda: tfnn.initializers.GlorotReluNormal(seed=3),
    "HeNormal": lambda: tfnn.initializers.HeNormal(seed=3),
    "HeNormal, grouped": lambda: tfnn.initializers.HeNormal(seed=3, groups=2),
    "HeUniform": lambda: tfnn.initializers.HeUniform(seed=3),
    "VarianceScaling": lambda: tfnn.initializers.VarianceScaling(seed=3),
    "VarianceScaling, depthwise": lambda: tfnn.initializers.VarianceScaling(2.0, "fan_out", seed=3, kernel="depthwise"),
    "VarianceScaling, axes": lambda: tfnn.initializers.VarianceScaling(seed=3, input_axes=[0], output_axes=[1, 2]),
    "Orthogonal": lambda: tfnn.initializers.Orthogonal(seed=3),
    "Orthogonal, transposed": lambda: tfnn.initializers.Orthogonal(2.0, seed=3, kernel="transposed"),
    "Zeros": lambda: tfnn.initializers.Zeros(),
    "lsuv": None,  # acts on a whole model: tests/initializers/test_lsuv.py
}
CALLBACKS = {
    "BatchSizeScheduler": lambda: tfnn.callbacks.BatchSizeScheduler({1: 64}),
    "BatchSizeScheduler by update": lambda: tfnn.callbacks.BatchSizeScheduler(
        lambda update: 32 + update, "update", "rebatch", scale_learning_rate=True
    ),
    "SwapDecayForGrowth": lambda: tfnn.callbacks.SwapDecayForGrowth(tfnn.schedules.StepDecay(0.1, 1, 0.5), 64),
    "GrowBatchOnPlateau": lambda: tfnn.callbacks.GrowBatchOnPlateau("loss", patience=1, min_delta=9, max_batch_size=64),
    "LearningRateScheduler": lambda: tfnn.callbacks.LearningRateScheduler({1: 0.01}),
    "LearningRateScheduler by update": lambda: tfnn.callbacks.LearningRateScheduler(
        lambda update: 0.1 / (1 + update), by="update"
    ),
    "ReduceLROnPlateau": lambda: tfnn.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=9),
    "Checkpoint": lambda: tfnn.callbacks.Checkpoint(tempfile.mkdtemp(), monitor="loss"),
    "NoiseScale": lambda: tfnn.callbacks.NoiseScale(interval=2),
    "GrowBatchByNoise": lambda: tfnn.callbacks.GrowBatchByNoise(max_batch_size=128, interval=2),
    "TensorBoard": lambda: tfnn.callbacks.TensorBoard(tempfile.mkdtemp(), 1, update_freq=2, image_freq=1, hparams={"depth": 1}),
}
MODELS = {
    "convnet": lambda: tfnn.models.convnet((8, 8, 1), 10, stages=(4, 8), hidden=16),
    "mlp": lambda: tfnn.models.mlp((8, 8, 1), 10, hidden=(16,)),
    "mlp, normalised": lambda: tfnn.models.mlp((8, 8, 1), 10, hidden=(16,), normalize=True, dropout=0.5, activation="tanh"),
    "resnet": lambda: tfnn.models.resnet((8, 8, 1), 10, depth=8, width=4),
    "resnet, dropout": lambda: tfnn.models.resnet((8, 8, 1), 10, depth=8, width=4, dropout=0.3, activation="elu"),
    "resnet, not normalised": lambda: tfnn.models.resnet((8, 8, 1), 10, depth=8, width=4, normalize=False),
    "resnet, pre-activation": lambda: tfnn.models.resnet((8, 8, 1), 10, depth=8, width=4, preactivation=True),
    "add_l2": lambda: tfnn.models.add_l2(tfnn.models.mlp((8, 8, 1), 10, hidden=(16,)), 1e-3),
}
# Most of it acts on whole models: see tests/transfer/, a file for each.
TRANSFER = {
    "Preprocessing": (lambda: tfnn.transfer.Preprocessing("tf"), RGB),
    "Preprocessing, torch": (lambda: tfnn.transfer.Preprocessing("torch"), RGB),
    "StageModel": None,
    "Unfreeze": None,
    "FeatureCache": None,
    "Backbone": None,
    "Stage": None,
    "advise": None,
    "backbone": None,
    "backbones": None,
    "classifier": None,
    "freeze": None,
    "layerwise_decay": None,
    "load_weights": None,
    "stages": None,
}
FAMILIES = {
    tfnn.layers: LAYERS,
    tfnn.optimizers: OPTIMIZERS,
    tfnn.schedules: SCHEDULES,
    tfnn.initializers: INITIALIZERS,
    tfnn.callbacks: CALLBACKS,
    tfnn.models: MODELS,
    tfnn.transfer: TRANSFER,
}
EVERY_LAYER = LAYERS | {name: row for name, row in TRANSFER.items() if row is not None}


def each(table):
    return pytest.mark.parametrize("name", [name for name, row in table.items() if row is not None])


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_every_public_part_has_a_row(family):
    public = {
        name
        for name, part in vars(family).items()
        if (inspect.isclass(part) or inspect.isfunction(part)) and part.__module__.startswith("tfnn") and name[0] != "_"
    }
    rows = {name.split(",")[0].split(" ")[0] for name in FAMILIES[family]}
    assert public == rows


def draw(shape, seed=0):
    return np.random.RandomState(seed).normal(1, 2, shape).astype("float32")


def layer_and_input(name):
    make, shape = EVERY_LAYER[name]
    layer = make()
    if not layer.built:
        layer.build((None, *shape[1:]))
    return layer, draw(shape)


def in_scope(layer, x, training):
    """The layer's output; the same numbers at each call, if it draws any."""
    with tfnn.random.scope(1, 2, tf.range(tf.shape(x)[0])):
        return layer(x, training=training)


def restored(layer, run):
    """The output of `run`, after which the layer's state is what it was."""
    state = layer.get_weights()
    output = run()
    layer.set_weights(state)
    return output


@each(EVERY_LAYER)
def test_layer_gives_the_same_eagerly_in_a_graph_and_under_xla(name):
    layer, x = layer_and_input(name)
    for training in False, True:
        call = lambda x, training=training: in_scope(layer, x, training)
        eager = restored(layer, lambda: call(x))
        for jit in False, True:
            graph = restored(layer, lambda: tf.function(call, jit_compile=jit)(tf.constant(x)))
            np.testing.assert_allclose(graph, eager, rtol=1e-4, atol=1e-5)


@each(EVERY_LAYER)
def test_layer_serves_every_batch_size_in_one_trace(name):
    layer, x = layer_and_input(name)
    graph = tf.function(lambda x: layer(x, training=True), input_signature=[tf.TensorSpec([None, *x.shape[1:]])])
    for rows in 1, 3, 6:
        assert graph(x[:rows]).shape[0] == rows
    assert graph.experimental_get_tracing_count() == 1


@each(EVERY_LAYER)
def test_layer_tells_its_output_shape(name):
    layer, x = layer_and_input(name)
    assert layer.compute_output_shape((None, *x.shape[1:]))[1:] == layer(x).shape[1:]


@each(EVERY_LAYER)
def test_layer_computes_in_its_policy(name):
    layer, x = layer_and_input(name)
    low = type(layer).from_config({**layer.get_config(), "dtype": "mixed_bfloat16"})
    low.build((None, *x.shape[1:]))
    low.set_weights(layer.get_weights())
    output = in_scope(low, x, training=True)
    assert output.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(output, tf.float32), in_scope(layer, x, training=True), atol=0.15)


@each(EVERY_LAYER)
def test_layer_round_trips(name, tmp_path):
    layer, x = layer_and_input(name)
    config = layer.get_config()
    assert type(layer).from_config(config).get_config() == config
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras")(x), model(x))


@each({**LAYERS, **OPTIMIZERS, **SCHEDULES, **INITIALIZERS})
def test_config_is_the_constructors_arguments(name):
    for table in LAYERS, OPTIMIZERS, SCHEDULES, INITIALIZERS:
        if table.get(name):
            part = table[name][0]() if table is LAYERS else table[name]()
    parameters = set()
    for parent in type(part).__mro__:
        if parent.__module__.startswith(("tfnn", "keras")) and "__init__" in vars(parent):
            parameters |= set(inspect.signature(parent.__init__).parameters)
    own = set(inspect.signature(type(part).__init__).parameters) - {"self", "args", "kwargs"}
    config = part.get_config()
    assert own <= set(config) <= parameters
    json.dumps(config)


# Optimizers


def quadratic(optimizer, steps, jit=None, dtype="float32"):
    """Two weights after `steps` updates along fixed, varied gradients."""
    weights = [keras.Variable(draw((3, 2)), dtype=dtype), keras.Variable(draw((4,), 1), dtype=dtype)]
    optimizer.build(weights)
    update = lambda g, h: optimizer.apply([g, h], weights)
    if jit is not None:
        update = tf.function(update, jit_compile=jit)
    for step in range(steps):
        update(*(tf.cast(draw(w.shape, 10 * step + i), w.dtype) for i, w in enumerate(weights)))
    return [keras.ops.convert_to_numpy(w) for w in weights]


@each(OPTIMIZERS)
def test_optimizer_gives_the_same_eagerly_in_a_graph_and_under_xla(name):
    eager = quadratic(OPTIMIZERS[name](), 8)
    for jit in False, True:
        for a, b in zip(eager, quadratic(OPTIMIZERS[name](), 8, jit), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@each(OPTIMIZERS)
def test_optimizer_round_trips_in_mid_run(name, tmp_path):
    x, y = draw((32, 5)), draw((32, 1), 1)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile(OPTIMIZERS[name](), "mse")
    model.fit(x, y, epochs=2, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.optimizer) is type(model.optimizer)
    assert again.optimizer.get_config() == model.optimizer.get_config()
    for fitted in model, again:
        fitted.fit(x, y, epochs=1, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@each(OPTIMIZERS)
@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_optimizer_updates_every_float_dtype(name, dtype):
    tolerance = {"float64": 3e-5, "bfloat16": 0.15, "float16": 0.03}[dtype]
    for a, b in zip(quadratic(OPTIMIZERS[name](), 4, dtype=dtype), quadratic(OPTIMIZERS[name](), 4), strict=True):
        np.testing.assert_allclose(a.astype("float32"), b, atol=tolerance)


# Schedules, initializers, callbacks, models


@each(SCHEDULES)
def test_schedule_gives_the_same_eagerly_in_a_graph_and_under_xla(name):
    schedule = SCHEDULES[name]()
    steps = 0, 1, 9, 10, 11, 99, 100, 101, 10**9
    eager = [schedule(step) for step in steps]
    assert {rate.dtype for rate in eager} == {tf.float32}
    for jit in False, True:
        for dtype in tf.int64, tf.float64:
            graph = tf.function(schedule, jit_compile=jit)
            np.testing.assert_allclose([graph(tf.constant(step, dtype)) for step in steps], eager, rtol=1e-6)
            assert graph.experimental_get_tracing_count() == 1


@each(SCHEDULES)
def test_schedule_round_trips(name):
    schedule = SCHEDULES[name]()
    config = keras.optimizers.schedules.serialize(schedule)
    again = keras.optimizers.schedules.deserialize(json.loads(json.dumps(config)))
    assert type(again) is type(schedule)  # and no class of Keras's that bears the same name
    assert again.get_config() == schedule.get_config()
    assert float(again(7)) == float(schedule(7))


@each(INITIALIZERS)
def test_initializer_repeats_with_its_seed_and_round_trips(name):
    initializer = INITIALIZERS[name]()
    again = keras.initializers.deserialize(keras.initializers.serialize(initializer))
    np.testing.assert_array_equal(initializer((3, 5, 4)), again((3, 5, 4)))
    assert initializer((3, 5, 4), dtype="float16").dtype == tf.float16
    assert initializer.clone().get_config() == initializer.get_config()


@each(CALLBACKS)
def test_callback_runs_under_fit(name, xy):
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, "softmax")])
    model.compile(tfnn.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    callback = CALLBACKS[name]()
    accumulate = 2 if getattr(callback, "wants_parts", False) else 1
    history = tfnn.fit(model, *xy, epochs=2, verbose=0, callbacks=[callback], accumulate=accumulate).history
    assert len(history["loss"]) == 2


@each(MODELS)
def test_model_gives_the_same_eagerly_in_a_graph_and_under_xla(name):
    model, x = MODELS[name](), tf.constant(draw((3, 8, 8, 1)))
    for jit in False, True:
        graph = tf.function(lambda x: model(x, training=False), jit_compile=jit)
        np.testing.assert_allclose(graph(x), model(x, training=False), rtol=1e-4, atol=1e-5)


@each(MODELS)
def test_model_round_trips_and_gives_probabilities(name, tmp_path):
    model, x = MODELS[name](), draw((3, 8, 8, 1))
    outputs = model(x)
    np.testing.assert_allclose(np.sum(outputs, -1), 1, rtol=1e-5)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras")(x), outputs)


@each(MODELS)
def test_model_serves_every_batch_size_in_one_trace(name):
    model = MODELS[name]()
    graph = tf.function(lambda x: model(x, training=True), input_signature=[tf.TensorSpec([None, 8, 8, 1])])
    for rows in 1, 3, 6:
        assert graph(draw((rows, 8, 8, 1))).shape == (rows, 10)
    assert graph.experimental_get_tracing_count() == 1


@each(MODELS)
def test_model_computes_in_the_global_policy_and_gives_float32(name):
    model, x = MODELS[name](), draw((6, 8, 8, 1))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        low = MODELS[name]()
    finally:
        keras.config.set_dtype_policy("float32")
    low.set_weights(model.get_weights())
    computing = [layer for layer in low._flatten_layers(include_self=False) if layer.weights][:-1]  # the last is the softmax
    assert {layer.compute_dtype for layer in computing} == {"bfloat16"}
    assert low(x).dtype == tf.float32
    np.testing.assert_allclose(low(x), model(x), atol=0.05)


# In processes of their own

WITHOUT_TFNN = """
import json, sys
import numpy as np
import tensorflow as tf

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tfnn", "keras"):
            raise ImportError(name)

for name in [name for name in sys.modules if name.split(".")[0] == "keras"]:
    del sys.modules[name]
sys.meta_path.insert(0, Block())
for path in json.loads(sys.argv[1]):
    golden = np.load(path + "/golden.npz")
    loaded = tf.saved_model.load(path)
    (output,) = loaded.signatures["serving_default"](x=tf.constant(golden["x"])).values()
    np.testing.assert_allclose(output, golden["y"], rtol=1e-5, atol=1e-6)
"""


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_layers_and_models_answer_from_a_saved_model_without_tfnn(every, tmp_path):
    paths, names = [], [*(name for name, row in EVERY_LAYER.items() if row), *MODELS]
    for index, name in enumerate(names[::every]):
        if name in EVERY_LAYER:
            part, x = layer_and_input(name)
        else:
            part, x = MODELS[name](), draw((3, 8, 8, 1))
        module, path = tf.Module(), tmp_path / str(index)
        module.part = part
        answer = tf.function(
            lambda x, part=part: part(x, training=False), input_signature=[tf.TensorSpec([None, *x.shape[1:]], name="x")]
        )
        tf.saved_model.save(module, str(path), signatures=answer)
        np.savez(path / "golden.npz", x=x, y=answer(x))
        paths.append(str(path))
    subprocess.run([sys.executable, "-c", WITHOUT_TFNN, json.dumps(paths)], check=True, cwd=tmp_path)


TWO_REPLICAS = """
import sys

import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

import keras
from tests.test_conformance import IMAGES, LAYERS, OPTIMIZERS, draw

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def weights_after(make, strategy):
    x, y = draw((32, 5)), draw((32, 1), 1)
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, "tanh"), keras.layers.Dense(1)])
        model.compile(make(), "mse")
    model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0)
    model.save(sys.argv[1])  # with the optimizer's numbers, which a strategy keeps in variables of its own
    return model.get_weights()


for name, make in OPTIMIZERS.items():
    if make:
        for a, b in zip(weights_after(make, tf.distribute.get_strategy()), weights_after(make, strategy)):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=name)

import tfnn

with strategy.scope():
    model = tfnn.models.mlp((5,), 2)
    model.compile("sgd", "sparse_categorical_crossentropy")
try:
    tfnn.fit(model, draw((8, 5)), np.zeros(8))
except ValueError as error:
    assert "several replicas" in str(error)
else:
    raise AssertionError("several replicas were not refused")

for name, (make, shape) in ((name, row) for name, row in LAYERS.items() if row):
    x = draw(shape)
    with strategy.scope():
        layer = make()
        layer(x)
    whole = layer(x, training=False)
    halves = strategy.experimental_distribute_values_from_function(
        lambda context: x[3 * context.replica_id_in_sync_group :][:3]
    )
    run = tf.function(lambda x: strategy.run(lambda x: layer(x, training=False), (x,)))
    parts = strategy.experimental_local_results(run(halves))
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-5, atol=1e-5, err_msg=name)
"""


def test_two_replicas_equal_one(tmp_path):
    subprocess.run([sys.executable, "-c", TWO_REPLICAS, str(tmp_path / "model.keras")], check=True, cwd=ROOT)
