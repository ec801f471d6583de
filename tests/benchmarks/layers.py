"""A training step of ResNet-20 with `tfnn.layers.BatchNormalization` against the same with Keras's; all else is equal.

32×32 images, batch 128, SGD with momentum, a plain graph: the step of one `model.fit` without its loop.
"""

import keras
import numpy as np
import tensorflow as tf

import tfnn
from tests.benchmarks.fit import MOMENTUM, RATE, keras_resnet20
from tests.benchmarks.timing import compare

BATCH = 128
POLICIES = {"float32": "ResNet-20 step (asked 1.1)", "mixed_bfloat16": "the same in mixed bfloat16"}


def training_step(normalization, policy, x, y):
    """A function that makes one update."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        model = keras_resnet20(normalization)
    finally:
        keras.config.set_dtype_policy("float32")
    optimizer = tfnn.optimizers.SGD(RATE, momentum=MOMENTUM)
    optimizer.build(model.trainable_variables)
    loss_of = keras.losses.SparseCategoricalCrossentropy()

    @tf.function(autograph=False)
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        optimizer.apply(tape.gradient(loss, [weight.value for weight in model.trainable_variables]))
        return loss

    x, y = tf.constant(x), tf.constant(y)
    return lambda: float(step(x, y))


def rows():
    random = np.random.default_rng(0)
    x, y = random.random((BATCH, 32, 32, 3), "float32"), random.integers(0, 10, BATCH)
    for policy, what in POLICIES.items():
        ours = training_step(tfnn.layers.BatchNormalization, policy, x, y)
        peer = training_step(keras.layers.BatchNormalization, policy, x, y)
        yield from compare(what, ours, {"keras.layers.BatchNormalization": peer}, "ms/step", rounds=15)
