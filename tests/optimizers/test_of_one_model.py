"""An optimizer serves one model, whatever joins later, is written to a file or read from one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tfnn.controls.nested import training_optimizers, updates_of

X = np.random.RandomState(0).normal(size=(64, 4)).astype("float32")
Y = X.sum(1, keepdims=True)


def network(optimizer):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
    model.compile(optimizer, "mse")
    return model


def by_keras(model):
    return model.fit(X, Y, verbose=0, shuffle=False)


def by_tfnn(model):
    return tfnn.fit(model, X, Y, verbose=0, shuffle=False, jit_compile=False)


@pytest.mark.parametrize("fit", [by_keras, by_tfnn])
def test_the_weights_of_another_model_are_refused_as_by_keras(fit):
    adam = tfnn.optimizers.Adam()
    fit(network(adam))
    with pytest.raises(ValueError, match="Unknown variable: .* recreate a new optimizer instance"):
        fit(network(adam))


def test_one_optimizer_for_two_lists_of_weights_is_refused():
    first, second, adam = keras.Variable([1.0]), keras.Variable([1.0]), tfnn.optimizers.Adam(0.1)
    adam.apply([np.ones(1, "float32")], [first])
    with pytest.raises(ValueError, match="Unknown variable"):
        adam.apply([np.ones(1, "float32")], [second])


@pytest.mark.parametrize("fit", [by_keras, by_tfnn])
def test_unfrozen_weights_of_the_same_model_join(fit):
    model = network(tfnn.optimizers.Adam())
    model.layers[0].trainable = False
    model.compile(model.optimizer, "mse")
    fit(model)
    model.layers[0].trainable = True
    model.layers[1].trainable = fit is by_keras  # tfnn.fit tells which belong together, so that none has to stay
    model.compile(model.optimizer, "mse")
    before = model.get_weights()
    fit(model)
    assert not np.array_equal(model.get_weights()[0], before[0])


def test_complex_weights_are_refused():
    weight = tf.Variable(tf.constant([1 + 1j], tf.complex64), name="phase")
    with pytest.raises(ValueError, match="weight '.*phase.*' is complex64, and tfnn's optimizers train real weights"):
        tfnn.optimizers.SGD(0.1).build([weight])


def test_a_loss_scale_is_loaded_with_the_state_of_weights_that_joined_late(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = network("sgd")
        model.layers[0].trainable = False
        model.compile(tfnn.optimizers.Adam(0.01), "mse")
        by_keras(model)
        model.layers[0].trainable = True
        model.compile(model.optimizer, "mse")
        by_keras(model)
        model.optimizer.dynamic_scale.assign(512.0)
        model.save(tmp_path / "a.keras")
        loaded = keras.models.load_model(tmp_path / "a.keras")
        assert float(loaded.optimizer.dynamic_scale) == 512
        by_keras(model), by_keras(loaded)
        for ours, theirs in zip(model.get_weights(), loaded.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    finally:
        keras.config.set_dtype_policy("float32")


def test_keras_s_optimizer_skips_the_state_of_tfnn_s_with_a_warning(tmp_path):
    model, other = network(tfnn.optimizers.Adam()), network(keras.optimizers.Adam())
    by_keras(model), by_keras(other)
    model.save_weights(tmp_path / "a.weights.h5")
    with pytest.warns(UserWarning, match="Skipping variable loading for optimizer"):
        other.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])


class Two(keras.Model):
    """Trains with optimizers of its own, which `compile`'s is none of."""

    def __init__(self):
        super().__init__()
        self.part = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        self.rules = {"of the part": [tfnn.optimizers.SGD(0.5)]}

    def train_step(self, x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(self.part(x) ** 2)
        self.rules["of the part"][0].apply(tape.gradient(loss, self.part.trainable_weights), self.part.trainable_weights)
        return {"loss": loss}


@pytest.mark.parametrize("by", ["model.fit", "tfnn.fit"])
def test_optimizers_of_a_model_s_own_keep_the_clock_and_are_steered(by):
    model = Two()
    model.compile()
    (own,) = training_optimizers(model)
    rates = tfnn.callbacks.LearningRateScheduler({0: 0.5, 2: 0.25}, by="update")
    fit = model.fit if by == "model.fit" else lambda *args, **how: tfnn.fit(model, *args, **how)
    history = fit(X, batch_size=16, epochs=2, verbose=0, callbacks=[rates])
    assert own is model.rules["of the part"][0] and updates_of(model) == 8
    assert history.history["learning_rate"] == [0.25, 0.25] and float(own.learning_rate) == 0.25
