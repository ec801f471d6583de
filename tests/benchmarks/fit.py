"""`tfnn.fit` against `model.fit`, and against PyTorch and JAX where they are installed.

Same model, data, optimizer (SGD with Nesterov's momentum) and number of updates; what differs is who runs the loop.
"""

import importlib.util

import keras
import numpy as np

import tfnn
from tests.benchmarks import peers
from tests.benchmarks.timing import compare, seconds
from tfnn.training.graph.xla import PAYS

RATE, MOMENTUM = 0.05, 0.9


def dense():
    return tfnn.models.mlp((64,), 10)


def small_cnn():
    """Two convolutions with BatchNorm, a hidden dense layer with Dropout; Keras's own layers throughout."""
    layers = keras.layers
    stack = [keras.Input((8, 8, 1))]
    for filters in 16, 32:
        stack += [layers.Conv2D(filters, 3, padding="same", use_bias=False), layers.BatchNormalization(), layers.ReLU()]
    stack += [layers.MaxPooling2D(), layers.Flatten(), layers.Dense(64, "relu"), layers.Dropout(0.5)]
    return keras.Sequential([*stack, layers.Dense(10, "softmax")])


def resnet20():
    return tfnn.models.resnet((32, 32, 3), 10, depth=20)


def keras_resnet20(normalization=keras.layers.BatchNormalization):
    """`resnet20` of Keras's own layers, as a Keras user writes it."""
    layers = keras.layers
    conv = lambda x, filters, size, strides: layers.Conv2D(
        filters, size, strides, padding="same", use_bias=False, kernel_initializer="he_normal"
    )(x)
    norm = lambda x: normalization()(x)
    inputs = keras.Input((32, 32, 3))
    x = layers.ReLU()(norm(conv(inputs, 16, 3, 1)))
    for stage in range(3):
        for block in range(3):
            filters, strides = 16 * 2**stage, 2 if stage and not block else 1
            y = layers.ReLU()(norm(conv(x, filters, 3, strides)))
            y = norm(conv(y, filters, 3, 1))
            x = layers.ReLU()(y + (norm(conv(x, filters, 1, strides)) if strides > 1 else x))
    return keras.Model(inputs, layers.Dense(10, "softmax")(layers.GlobalAveragePooling2D()(x)))


def compiled(build, optimizer=tfnn.optimizers.SGD, **options):
    keras.utils.set_random_seed(0)
    model = build()
    optimizer = optimizer(RATE, momentum=MOMENTUM, nesterov=True)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


def against_keras(build, x, y, batch_size, epochs, keras_build=None):
    """Plain `model.fit`, and with the `steps_per_execution` that is fastest of 8, 32 and all updates of an epoch."""
    arguments = dict(batch_size=batch_size, epochs=epochs, verbose=0)

    def fit(steps):
        model = compiled(keras_build or build, keras.optimizers.SGD, steps_per_execution=steps)
        return lambda: model.fit(x, y, **arguments)

    updates = -(-len(x) // batch_size)
    candidates = {steps: fit(steps) for steps in {8, 32, updates} if steps <= updates}
    for candidate in candidates.values():
        candidate()  # traces
    best = min(candidates, key=lambda steps: seconds(candidates[steps]))
    return {"model.fit": fit(1), f"model.fit, steps_per_execution={best}": candidates[best]}


def ours(build, x, y, batch_size, epochs, before=0):
    """A fit of a model that was trained for `before` epochs: XLA compiles where enough updates come together."""
    model = compiled(build)
    tfnn.fit(model, x, y, batch_size=batch_size, epochs=before, verbose=0)
    return lambda: tfnn.fit(model, x, y, batch_size=batch_size, epochs=epochs, verbose=0)


def repeated(epoch, epochs):
    return lambda: [epoch() for _ in range(epochs)]


def rows():
    digits = tfnn.data.digits()
    x, y = digits.train.x.astype("float32") / 16, digits.train.y
    installed = {name for name in ("torch", "jax") if importlib.util.find_spec(name)}

    flat, epochs = x.reshape(len(x), -1), 20
    rivals = against_keras(dense, flat, y, 32, epochs)
    if "torch" in installed:
        rivals["PyTorch, eager"] = repeated(peers.torch_dense(flat, y, 32, RATE, MOMENTUM), epochs)
    if "jax" in installed:
        rivals["JAX, lax.scan over the epoch"] = repeated(peers.jax_dense(flat, y, 32, RATE, MOMENTUM), epochs)
    mine = ours(dense, flat, y, 32, epochs, before=PAYS["light"])
    yield from compare("dense 64-128-128-10, batch 32", mine, rivals, scale=1e3 / epochs)

    epochs = 3
    rivals = against_keras(small_cnn, x, y, 32, epochs)
    yield from compare("small CNN, batch 32", ours(small_cnn, x, y, 32, epochs), rivals, scale=1e3 / epochs)

    random = np.random.default_rng(0)
    x, y = random.random((1024, 32, 32, 3), "float32"), random.integers(0, 10, 1024).astype("int32")
    rivals = against_keras(resnet20, x, y, 128, 1, keras_resnet20)
    if "torch" in installed:
        rivals["PyTorch, channels last"] = peers.torch_resnet20(x, y, 128, RATE, MOMENTUM)
    yield from compare("ResNet-20 32×32, batch 128", ours(resnet20, x, y, 128, 1), rivals, rounds=5)
