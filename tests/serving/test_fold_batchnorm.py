"""A folded model answers as the model does, with fewer BatchNorms, and leaves the model as it was."""

import gc
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

import tfnn
from tests.needs import RENORM
from tfnn.serving import fold_batchnorm
from tfnn.serving.fold_batchnorm import input_specs

L, BatchNorm = keras.layers, tfnn.layers.BatchNormalization
IMAGES = (8, 8, 4)


def randomise(model, seed=0):
    """Biases, γ, β and moving moments away from where they start, where folding wrongly would be seen nowhere."""
    rng = np.random.RandomState(seed)
    for layer in model._flatten_layers():
        if isinstance(layer, L.BatchNormalization):
            for variable in layer.variables:
                low = 0.5 if variable.name in ("gamma", "moving_variance") else -0.5
                variable.assign(rng.uniform(low, 1.5, variable.shape))
        elif getattr(layer, "bias", None) is not None:
            layer.bias.assign(rng.normal(0, 0.5, layer.bias.shape))
    return model


def arrays(specs, rows=3):
    rng = np.random.RandomState(1)
    return keras.tree.map_structure(lambda s: tf.constant(rng.normal(size=(rows, *s.shape[1:])), s.dtype), specs)


def check(model, folded, kept=0, tolerance=1e-5):
    """The error of folding, relative to the largest output; that so many layers were folded; that the model is unmoved."""
    randomise(model)
    before = [weight.numpy() for weight in model.weights]
    network = fold_batchnorm(model)
    assert (len(network.folded), len(network.kept)) == (folded, kept)
    for rows in 3, 1:
        inputs = arrays(input_specs(model), rows)
        assert error(model(inputs, training=False), network(inputs)) < tolerance
    for weight, value in zip(model.weights, before):
        np.testing.assert_array_equal(weight, value)
    assert not any("call" in vars(layer) for layer in model._flatten_layers())
    return network


def error(expected, found):
    keras.tree.assert_same_structure(expected, found)
    pairs = zip(keras.tree.flatten(expected), keras.tree.flatten(found))
    return max(largest_error(np.asarray(y, "f8"), np.asarray(z, "f8")) for y, z in pairs)


def largest_error(y, z):
    assert y.shape == z.shape and y.std() > 0.01 * np.abs(y).max()
    return np.abs(y - z).max() / np.abs(y).max()


# name: (shape of one input, the layer before a BatchNorm, where `bias` is True or False, axis of the channels)
# channels first: where the width of the output is that of the channels, Keras 3.15's Conv2D adds the bias along the width
LAYERS = {
    "Dense": ((5,), lambda bias: L.Dense(6, use_bias=bias), -1),
    "Dense of sequences": ((7, 5), lambda bias: L.Dense(6, use_bias=bias), 2),
    "Conv1D": ((9, 4), lambda bias: L.Conv1D(6, 3, padding="causal", use_bias=bias), -1),
    "Conv2D": (IMAGES, lambda bias: L.Conv2D(6, 3, 2, "same", use_bias=bias), 3),
    "Conv2D, dilated": (IMAGES, lambda bias: L.Conv2D(6, 3, dilation_rate=2, use_bias=bias), -1),
    "Conv2D, grouped": (IMAGES, lambda bias: L.Conv2D(6, 3, groups=2, use_bias=bias), -1),
    "Conv3D": ((5, 4, 5, 2), lambda bias: L.Conv3D(3, 2, use_bias=bias), -1),
    "DepthwiseConv1D": ((9, 4), lambda bias: L.DepthwiseConv1D(3, depth_multiplier=3, use_bias=bias), -1),
    "DepthwiseConv2D": (IMAGES, lambda bias: L.DepthwiseConv2D(3, depth_multiplier=2, use_bias=bias), -1),
    "DepthwiseConv2D, dilated": (IMAGES, lambda bias: L.DepthwiseConv2D(3, dilation_rate=2, use_bias=bias), -1),
    "SeparableConv1D": ((9, 4), lambda bias: L.SeparableConv1D(6, 3, depth_multiplier=2, use_bias=bias), -1),
    "SeparableConv2D": (IMAGES, lambda bias: L.SeparableConv2D(6, 3, 2, "same", use_bias=bias), -1),
    "Conv1DTranspose": ((9, 4), lambda bias: L.Conv1DTranspose(6, 3, 2, use_bias=bias), -1),
    "Conv2DTranspose": (IMAGES, lambda bias: L.Conv2DTranspose(6, 3, 2, "same", use_bias=bias), -1),
    "Conv3DTranspose": ((4, 3, 4, 2), lambda bias: L.Conv3DTranspose(3, 2, use_bias=bias), -1),
    "Conv1D, channels first": ((4, 9), lambda bias: L.Conv1D(6, 3, data_format="channels_first", use_bias=bias), 1),
    "Conv2D, channels first": ((4, 8, 9), lambda bias: L.Conv2D(6, 3, data_format="channels_first", use_bias=bias), 1),
    "DepthwiseConv2D, channels first": (
        (4, 8, 8),
        lambda bias: L.DepthwiseConv2D(3, depth_multiplier=2, data_format="channels_first", use_bias=bias),
        -3,
    ),
}


def takes_channels_first():
    try:
        tf.nn.conv2d(tf.zeros([1] * 4), tf.zeros([1] * 4), 1, "VALID", data_format="NCHW")
    except tf.errors.UnimplementedError:
        return False
    return True


@pytest.mark.parametrize("bias", (True, False), ids=("bias", "no bias"))
@pytest.mark.parametrize("name", LAYERS)
def test_the_layer_takes_over(name, bias):
    if name in ("Conv1D, channels first", "Conv2D, channels first") and not takes_channels_first():
        pytest.skip("without oneDNN TensorFlow computes no such convolutions on a CPU")
    shape, layer, axis = LAYERS[name]
    model = keras.Sequential([keras.Input(shape), layer(bias), L.BatchNormalization(axis=axis), L.ReLU()])
    network = check(model, folded=1, tolerance=2e-6)
    biases = 0 if bias else model.layers[1].moving_mean.shape[0]
    assert sum(v.numpy().size for v in network.variables) == model.layers[0].count_params() + biases


FLAGS = [{}, {"scale": False}, {"center": False}, {"epsilon": 0.5}, pytest.param({"renorm": True}, marks=RENORM)]


@pytest.mark.parametrize("flags", FLAGS, ids=str)
@pytest.mark.parametrize("norm", (L.BatchNormalization, BatchNorm))
def test_norms_of_keras_and_of_tfnn(norm, flags):
    check(keras.Sequential([keras.Input(IMAGES), L.Conv2D(6, 3), norm(**flags)]), folded=1, tolerance=2e-6)


def one(*layers):
    return keras.Sequential([keras.Input(IMAGES), *layers])


def several_inputs():
    a, b = keras.Input(IMAGES, name="a"), keras.Input(IMAGES, name="b")
    x = L.BatchNormalization()(L.Conv2D(6, 3)(a)) + L.BatchNormalization()(L.Conv2D(6, 3)(b))
    return keras.Model({"a": a, "b": b}, {"sum": x, "features": L.BatchNormalization()(L.Conv2D(2, 1)(x))})


def listed_inputs():
    a, b = keras.Input(IMAGES), keras.Input(IMAGES)
    return keras.Model([a, b], [BatchNorm()(L.Conv2D(6, 3)(a)), b])


def nested():
    inner = keras.Sequential([keras.Input(IMAGES), L.Conv2D(4, 3, padding="same"), BatchNorm(), L.ReLU()])
    return one(inner, keras.Sequential([inner, L.Conv2D(3, 1)]), BatchNorm())


def siamese():
    """The tower is called twice, its BatchNorm always behind its convolution."""
    tower = one(L.Conv2D(6, 3), BatchNorm(), L.Flatten())
    a, b = keras.Input(IMAGES), keras.Input(IMAGES)
    return keras.Model([a, b], L.BatchNormalization()(L.Dense(3)(tower(a) * tower(b))))


def with_branches(between=lambda x: x, after=lambda x, y: y, shared=False):
    x = keras.Input(IMAGES)
    conv = L.Conv2D(4, 3)(x)
    norm = BatchNorm()
    y = norm(between(conv))
    return keras.Model(x, after(conv, y) if not shared else [y, norm(L.Conv2D(4, 3)(x))])


def shared_convolution():
    x, conv = keras.Input(IMAGES), L.Conv2D(4, 3)
    return keras.Model(x, [BatchNorm()(conv(x)), BatchNorm()(conv(2 * x))])


class Opaque(keras.layers.Layer):
    """A user's own: Keras knows nothing of what its `call` does."""

    def __init__(self, training=None, **kwargs):
        super().__init__(**kwargs)
        self.conv, self.norm, self.given = L.Conv2D(4, 3, padding="same"), L.BatchNormalization(), training

    def build(self, shape):
        self.conv.build(shape)
        self.norm.build((*shape[:-1], 4))

    def call(self, x):
        return x + keras.ops.relu(self.norm(self.conv(x), training=self.given))


class Compiled(Opaque):
    """Its graph is cached, so that nothing in it can be exchanged."""

    @tf.function
    def call(self, x):
        return super().call(x)


class Standardised(L.Conv2D):
    """Weights that a scale does not reach (Qiao et al. 2019, arXiv:1903.10520)."""

    def call(self, x):
        return self.convolution_op(x, (self.kernel - tf.reduce_mean(self.kernel)) / tf.math.reduce_std(self.kernel))


class Doubled(L.BatchNormalization):
    def call(self, x, training=None, mask=None):
        return 2 * super().call(x, training=training, mask=mask)


def with_lora():
    model = one(L.Dense(4), BatchNorm())
    model.layers[0].enable_lora(2)
    model.layers[0].lora_kernel_b.assign(np.ones((2, 4)))
    return model


def frozen_in_training_mode():
    model = one(Opaque(training=True))
    model.layers[0].norm.trainable = False
    return model


resnet = lambda **options: tfnn.models.resnet((8, 8, 1), 5, depth=8, width=4, **options)
# name: (model, how many BatchNorms are folded, how many stay)
MODELS = {
    "inputs by name": (several_inputs, 3, 0),
    "inputs in a list": (listed_inputs, 1, 0),
    "nested and shared": (nested, 2, 0),
    "siamese": (siamese, 2, 0),
    "layers of a user's own": (lambda: one(Opaque(), Opaque()), 2, 0),
    "behind dropout": (lambda: one(L.Conv2D(4, 3), L.Dropout(0.5), BatchNorm()), 1, 0),
    "frozen, in training mode": (frozen_in_training_mode, 1, 0),
    "convnet": (lambda: tfnn.models.convnet((8, 8, 1), 5, stages=(4, 6), hidden=8), 4, 0),
    "mlp": (lambda: tfnn.models.mlp((8, 8, 1), 5, hidden=(8, 8), normalize=True), 2, 0),
    "resnet": (resnet, 9, 0),
    "resnet, pre-activation": (lambda: resnet(preactivation=True), 3, 4),
    "no BatchNorm": (lambda: one(L.Conv2D(4, 3)), 0, 0),
    # left as they are
    "first": (lambda: one(BatchNorm(), L.Conv2D(4, 3, padding="same")), 0, 1),
    "behind an activation": (lambda: one(L.Conv2D(4, 3, activation="relu"), BatchNorm()), 0, 1),
    "behind padding": (lambda: one(L.Conv2D(4, 3), L.ZeroPadding2D(), BatchNorm()), 0, 1),
    "behind a BatchNorm": (lambda: one(L.Conv2D(4, 3), BatchNorm(), BatchNorm()), 1, 1),
    "over another axis": (lambda: one(L.Conv2D(4, 3), BatchNorm(axis=1)), 0, 1),
    "channels last, over the first": (lambda: one(L.Conv2D(8, 1), BatchNorm(axis=1)), 0, 1),
    "the convolution is an output": (lambda: with_branches(after=lambda conv, y: [conv, y]), 0, 1),
    "the convolution is added": (lambda: with_branches(after=lambda conv, y: conv + y), 0, 1),
    "behind an addition": (lambda: with_branches(lambda conv: conv + 1), 0, 1),
    "one for two convolutions": (lambda: with_branches(shared=True), 0, 1),
    "two for one convolution": (shared_convolution, 0, 2),
    "a cached graph": (lambda: one(Compiled()), 0, 1),
    "over time": (lambda: one(L.TimeDistributed(L.Conv1D(4, 3)), L.TimeDistributed(BatchNorm())), 0, 1),
    "a convolution of a user's own": (lambda: one(Standardised(4, 3), BatchNorm()), 0, 1),
    "a BatchNorm of a user's own": (lambda: one(L.Conv2D(4, 3), Doubled()), 0, 1),
    "LoRA": (with_lora, 0, 1),
    "of another precision": (lambda: one(L.Conv2D(4, 3, dtype="float64"), BatchNorm(dtype="float32")), 0, 1),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_model_answers_the_same(name):
    make, folded, kept = MODELS[name]
    check(make(), folded, kept)


def test_in_training_mode_it_stays():
    network = fold_batchnorm(randomise(one(Opaque(training=True))))
    assert (len(network.folded), len(network.kept)) == (0, 1)


@pytest.mark.parametrize("policy", ("mixed_float16", "mixed_bfloat16", "float64"))
def test_in_other_precisions(policy):
    """Both round each activation once or twice to half precision, so they differ by some of its units."""
    unit = {"mixed_float16": 2**-11, "mixed_bfloat16": 2**-8, "float64": 1e-15}[policy]
    keras.config.set_dtype_policy(policy)
    try:
        model = randomise(one(L.Conv2D(6, 3), L.BatchNormalization(), L.ReLU(), L.Conv2D(6, 3, use_bias=False), BatchNorm()))
    finally:
        keras.config.set_dtype_policy("float32")
    network = fold_batchnorm(model)
    inputs = arrays(input_specs(model), rows=16)
    answer = network(inputs)
    assert answer.dtype == model.compute_dtype and len(network.folded) == 2
    assert {variable.dtype for variable in network.variables} == {tf.as_dtype(model.variable_dtype)}
    assert error(model(inputs, training=False), answer) < 10 * unit


def recalibrated(model, images):
    """With moments of its own inputs, so that the signal neither fades nor grows through a deep network."""
    randomise(model)
    tfnn.layers.recalibrate_batch_norm(model, images)
    return model


def application(name, size, **options):
    """In 32-bit floats such a network turns a change of its images by 1e-7 into one of about 1e-5 of its outputs."""
    keras.utils.set_random_seed(0)
    images = np.random.RandomState(2).normal(size=(8, size, size, 3)).astype(np.float32)
    make = getattr(keras.applications, name)
    return recalibrated(make(weights=None, include_top=False, input_shape=images.shape[1:], **options), images), images


@pytest.fixture(scope="module")
def mobilenet():
    return application("MobileNetV2", 64, alpha=0.35)


def test_mobilenet_v2_has_no_batch_norm_left(mobilenet):
    model, images = mobilenet
    network = fold_batchnorm(model)
    assert (len(network.folded), network.kept) == (52, ())
    assert error(model(images, training=False), network(images)) < 1e-4


def test_a_wrong_epsilon_would_be_seen():
    model, images = application("MobileNetV2", 64, alpha=0.35)
    expected = model(images, training=False)
    for layer in model._flatten_layers():
        if isinstance(layer, L.BatchNormalization):
            layer.epsilon *= 1.1
    assert error(expected, fold_batchnorm(model)(images)) > 1e-4


# name: (width and height of the images, BatchNorms that are folded, that stay)
APPLICATIONS = {
    "DenseNet121": (64, 59, 62),
    "EfficientNetB0": (64, 49, 0),
    "EfficientNetV2B0": (64, 59, 0),
    "InceptionResNetV2": (75, 204, 0),
    "InceptionV3": (107, 94, 0),
    "MobileNet": (64, 27, 0),
    "MobileNetV2": (64, 52, 0),
    "MobileNetV3Small": (64, 34, 0),
    "NASNetMobile": (64, 188, 4),
    "ResNet50": (64, 53, 0),
    "ResNet50V2": (64, 32, 17),
    "Xception": (71, 40, 0),
}
WITHOUT_BATCH_NORM = {"convnext", "vgg16", "vgg19"}


def family(name):
    return getattr(keras.applications, name).__module__.split(".")[-1]


def test_every_family_of_keras_applications_is_tried():
    makers = [name for name, maker in vars(keras.applications).items() if name[0].isupper() and callable(maker)]
    assert {family(name) for name in APPLICATIONS} == {family(name) for name in makers} - WITHOUT_BATCH_NORM


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_keras_applications(name, record_property):
    size, folded, kept = APPLICATIONS[name]
    model, images = application(name, size)
    begin = time.perf_counter()
    network = fold_batchnorm(model)
    seconds = time.perf_counter() - begin
    found = error(model(images, training=False), network(images))
    record_property("folded", f"{len(network.folded)} of {len(network.folded) + len(network.kept)}")
    print(f"{name}: {len(network.folded)} folded, {len(network.kept)} kept, error {found:.1e}, {seconds:.1f} s")
    del model
    keras.backend.clear_session()
    gc.collect()
    assert (len(network.folded), len(network.kept)) == (folded, kept)
    assert found < 1e-4


def frozen(network):
    return convert_variables_to_constants_v2(network.network.get_concrete_function())


def test_frozen_it_answers_the_same_without_variables(mobilenet):
    model, images = mobilenet
    constants = frozen(fold_batchnorm(model))
    assert not constants.variables
    assert error(model(images, training=False), constants(tf.constant(images))[0]) < 1e-4


def test_a_graph_with_folded_layers_has_no_operation_of_a_batch_norm(mobilenet):
    operations = lambda network: {op.type for op in frozen(network).graph.get_operations()}
    assert not {"FusedBatchNormV3", "Rsqrt", "Mul", "Sub"} & operations(fold_batchnorm(mobilenet[0]))
    assert "FusedBatchNormV3" in operations(fold_batchnorm(one(BatchNorm())))
    assert {"Rsqrt", "Mul", "Sub"} <= operations(fold_batchnorm(one(L.BatchNormalization())))


def test_saved_and_loaded_it_answers_the_same(tmp_path):
    model = randomise(resnet())
    network = fold_batchnorm(model)
    images = arrays(input_specs(model))
    tf.saved_model.save(network, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_array_equal(network(images), loaded.network(images))
    stored = sum(
        size for _, shape in tf.train.list_variables(str(tmp_path / "variables/variables")) for size in [np.prod(shape)]
    )
    assert stored < model.count_params()  # no weight twice, and none of those that were folded


def test_it_serves_several_signatures_from_the_same_variables():
    model = randomise(resnet())
    network = fold_batchnorm(model)
    halves = tf.function(lambda x: network(x / 2), input_signature=[tf.TensorSpec([None, 8, 8, 1])])
    images = arrays(input_specs(model))
    assert error(model(images / 2, training=False), halves(images)) < 1e-5
    assert {v.ref() for v in halves.get_concrete_function().variables} <= {v.ref() for v in network.variables}


def test_a_model_that_learns_on_leaves_what_was_folded():
    model = randomise(one(L.Conv2D(4, 3), BatchNorm()))
    network, images = fold_batchnorm(model), arrays(tf.TensorSpec([None, *IMAGES]))
    before = network(images)
    for weight in model.weights:
        weight.assign(weight + 1)
    np.testing.assert_array_equal(network(images), before)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = L.Conv2D(4, 3), BatchNorm()

    def call(self, inputs):
        return {"features": self.norm(self.conv(inputs["image"]))}


def test_a_subclassed_model_is_folded_for_given_inputs():
    model, specs = Subclassed(), {"image": tf.TensorSpec([None, *IMAGES])}
    with pytest.raises(ValueError, match="is not built"):
        fold_batchnorm(model)
    model(arrays(specs))
    with pytest.raises(ValueError, match="pass `inputs`"):
        fold_batchnorm(model)
    network = fold_batchnorm(randomise(model), inputs=specs)
    assert len(network.folded) == 1
    assert error(model(arrays(specs), training=False), network(arrays(specs))) < 1e-5


def test_a_failing_trace_leaves_the_model_as_it_was():
    class Failing(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = L.Conv2D(4, 3), BatchNorm()

        def call(self, x):
            y = self.norm(self.conv(x))
            if isinstance(x, tf.Tensor) and not tf.executing_eagerly():
                raise RuntimeError("no graph for me")
            return y

    model = Failing()
    model(np.zeros([1, *IMAGES], np.float32))
    with pytest.raises(RuntimeError, match="no graph for me"):
        fold_batchnorm(model, tf.TensorSpec([None, *IMAGES]))
    assert not any("call" in vars(layer) for layer in model._flatten_layers())
