"""What probes are told in the graph, and what steering callbacks hear, whatever the source and however batches are split."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tfnn import controls

RNG = np.random.RandomState(3)
X, Y = RNG.normal(size=(44, 3)).astype(np.float32), RNG.normal(size=(44, 1)).astype(np.float32)
UPDATES = 12


class Notes(controls.Probe):
    """Keeps all numbers of the first updates."""

    wants_parts = True

    def __init__(self, interval=1):
        super().__init__()
        self.interval = interval

    def build(self, weights):
        self.rows = tf.Variable(tf.zeros([UPDATES, 7]))
        self.gradients = [tf.Variable(tf.zeros([UPDATES, *weight.shape])) for weight in weights]
        return [self.rows, *self.gradients]

    def measure(self, facts):
        scalars = facts.update, facts.loss, facts.learning_rate, facts.examples, facts.parts, *tf.unstack(facts.part_squares)
        at = [[facts.update // self.interval]]
        self.rows.scatter_nd_update(at, [[tf.cast(scalar, tf.float32) for scalar in scalars]])
        for held, gradient in zip(self.gradients, facts.gradients):
            held.scatter_nd_update(at, gradient[None])


def linear(rate=0.1, optimizer=None):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizer or tfnn.optimizers.SGD(rate), "mse")
    return model


def told(x, y, w, b):
    """Loss, and its gradients by kernel and bias, of a mean over examples."""
    error = x @ w + b - y
    return np.mean(error**2), 2 * x.T @ error / len(x), 2 * error.mean(0)


def reference(size, accumulate, rate, epochs):
    """What `Notes` must hold: plain SGD in numpy over the rows in order."""
    w, b, rows, kernels, biases = np.ones((3, 1)), np.zeros(1), [], [], []
    for _ in range(epochs):
        for start in range(0, len(X), size * accumulate):
            batch = slice(start, min(start + size * accumulate, len(X)))
            parts = [slice(at, min(at + size, batch.stop)) for at in range(start, batch.stop, size)]
            weighted = [(p.stop - p.start) / size if accumulate > 1 else 1 for p in parts]
            squares = [[n**2 * np.sum(g**2) for g in told(X[p], Y[p], w, b)[1:]] for n, p in zip(weighted, parts)]
            loss, by_w, by_b = told(X[batch], Y[batch], w, b)
            rows.append([len(rows), loss, rate, batch.stop - start, len(parts), *np.sum(squares, 0)])
            kernels.append(by_w), biases.append(by_b)
            w, b = w - rate * by_w, b - rate * by_b
    return [np.array(rows), np.array(kernels), np.array(biases)]


SOURCES = {
    "arrays": lambda size: (X, Y, size),
    "tf.data": lambda size: (tf.data.Dataset.from_tensor_slices((X, Y)).batch(size),),
}
WAYS = {
    "plain": {},
    "XLA": {"jit_compile": True},
    "accumulated": {"accumulate": 3},
    "accumulated, XLA": {"accumulate": 3, "jit_compile": True},
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("way", WAYS)
def test_a_probe_is_told_what_the_update_is_made_of(source, way):
    """Tails included: 44 rows in batches of 8, or of 3 · 8."""
    notes, options = Notes(), WAYS[way]
    tfnn.fit(linear(), *SOURCES[source](8), epochs=2, verbose=0, callbacks=[notes], shuffle=False, **options)
    for held, expected in zip(notes.variables, reference(8, options.get("accumulate", 1), 0.1, epochs=2)):
        np.testing.assert_allclose(held.numpy()[: len(expected)], expected, rtol=1e-4, atol=1e-5)


def test_a_probe_changes_no_bit_of_the_run():
    watched, alone = linear(), linear()
    for model, callbacks in (watched, [Notes(2)]), (alone, []):
        tfnn.fit(model, X, Y, 8, 3, 0, callbacks, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(watched.get_weights(), alone.get_weights()))


def test_an_interval_leaves_out_the_updates_between():
    notes, every = Notes(interval=3), Notes()
    for probe in notes, every:
        tfnn.fit(linear(), X, Y, 8, 2, 0, [probe], shuffle=False, accumulate=2)
    np.testing.assert_array_equal(notes.rows.numpy()[:2], every.rows.numpy()[[0, 3]])
    assert not notes.rows.numpy()[2:].any()


def test_gradients_are_told_without_the_scale_of_a_float16_loss():
    plain, scaled = Notes(), Notes()
    tfnn.fit(linear(), X, Y, 8, 1, 0, [plain], shuffle=False)
    optimizer = keras.optimizers.LossScaleOptimizer(tfnn.optimizers.SGD(0.1), initial_scale=64.0)
    tfnn.fit(linear(optimizer=optimizer), X, Y, 8, 1, 0, [scaled], shuffle=False)
    for a, b in zip(plain.variables, scaled.variables):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)


def test_an_update_that_is_left_out_leaves_no_trace_in_a_probe():
    spoilt, notes = X.copy(), Notes()
    spoilt[20, 1] = np.nan  # in the third batch of 8: the count of updates stands still there
    tfnn.fit(linear(), spoilt, Y, 8, 1, 0, [notes], shuffle=False, nonfinite="skip")
    assert notes.rows.numpy()[:6, 0].tolist() == [0, 1, 2, 3, 4, 0]  # of 6
    assert np.isfinite(notes.rows.numpy()).all()


def test_a_probe_goes_on_where_a_checkpoint_was_written(tmp_path):
    whole, model = Notes(), linear()
    tfnn.fit(model, X, Y, 8, 2, 0, [whole], seed=5)
    save = lambda: tfnn.callbacks.Checkpoint(tmp_path, save_freq=4, monitor="loss", mode="min")

    class Stop(Exception):
        pass

    def stop(batch, logs):
        if int(first.optimizer.iterations) == 7:
            raise Stop

    first, again = linear(), Notes()
    with pytest.raises(Stop):
        tfnn.fit(first, X, Y, 8, 2, 0, [Notes(), save(), keras.callbacks.LambdaCallback(on_train_batch_end=stop)], seed=5)
    tfnn.fit(linear(), X, Y, 8, 2, 0, [again, save()], resume=tmp_path, seed=5)
    np.testing.assert_array_equal(again.rows.numpy(), whole.rows.numpy())


def test_a_model_with_its_own_step_says_that_it_hides_gradients():
    class Own(keras.Model):
        def train_step(self, data):
            return {"loss": 0.0}

    inputs = keras.Input((3,))
    model = Own(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="Notes measures gradients, which a model with its own train_step hides"):
        tfnn.fit(model, X, Y, 8, verbose=0, callbacks=[Notes()])


class Heard(controls.Steering):
    def __init__(self, every):
        super().__init__()
        self.every, self.heard = every, []

    def updates_until_due(self, update):
        return self.every and self.every - update % self.every

    def on_update_begin(self, update):
        self.heard.append(update)


@pytest.mark.parametrize("every", [1, 4])
def test_steering_is_heard_before_each_update_that_it_asked_for(every):
    """And goes on counting in a second run. 6 updates an epoch."""
    steering, model = Heard(every), linear()
    tfnn.fit(model, X, Y, 8, 2, 0, [steering], jit_compile=False)
    tfnn.fit(model, X, Y, 8, 1, 0, [steering], jit_compile=False)
    assert set(range(0, 18, every)) <= set(steering.heard) <= set(range(19))


def test_steering_does_not_make_every_update_a_piece():
    steering, model = Heard(None), linear()
    tfnn.fit(model, X, Y, 8, 1, 0, [steering])  # traces, and finds out how long an update takes
    steering.heard.clear()
    tfnn.fit(model, X, Y, 8, 6, 0, [steering])
    assert len(set(steering.heard)) < 20


def test_under_keras_s_fit_steering_is_heard_before_each_batch():
    steering, model = Heard(None), linear()
    model.fit(X, Y, 8, 2, 0, [steering])
    assert steering.heard == list(range(12))
