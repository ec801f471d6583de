"""What every optimizer has from its base, Keras's features among them."""

import copy
import functools
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.needs import MULTI_OPTIMIZER
from tfnn.optimizers import LAMB, LARS, SGD, Adagrad, Adam, AdamW, RMSprop

CLASSES = SGD, Adagrad, RMSprop, Adam, AdamW, LARS, LAMB
every = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
G = np.random.RandomState(0).normal(size=(8, 3, 2)).astype(np.float32)


def weights(*shapes):
    return [
        keras.Variable(np.random.RandomState(i).normal(size=shape), dtype="float32", name=f"w{i}")
        for i, shape in enumerate(shapes)
    ]


def run(optimizer, gradients):
    """A weight of shape (3, 2) after one update for each of the gradients."""
    (weight,) = weights((3, 2))
    for g in gradients:
        optimizer.apply([tf.constant(g)], [weight])
    return weight.numpy()


def net(optimizer, policy=None):
    layers = [keras.layers.Dense(4, "tanh", name="first", dtype=policy), keras.layers.Dense(1, name="last", dtype=policy)]
    model = keras.Sequential([keras.Input((5,)), *layers])
    model.set_weights([np.random.RandomState(i).normal(size=w.shape) for i, w in enumerate(model.get_weights())])
    model.compile(optimizer, "mse")
    return model


X, Y = (np.random.RandomState(i).normal(size=(32, n)).astype(np.float32) for i, n in ((1, 5), (2, 1)))


# Clipping, decay, averages, accumulation -----------------------------------------------------------------------------


@every
@pytest.mark.parametrize(
    "option, clipped", [("clipnorm", lambda g: g / np.linalg.norm(g)), ("clipvalue", lambda g: np.clip(g, -1, 1))]
)
def test_clips_each_gradient(cls, option, clipped):
    np.testing.assert_allclose(run(cls(0.1, **{option: 1.0}), 9 * G), run(cls(0.1), map(clipped, 9 * G)), rtol=1e-5, atol=1e-6)
    if cls is SGD:  # the others hardly know a gradient's scale
        assert not np.allclose(run(cls(0.1, **{option: 1.0}), 9 * G), run(cls(0.1), 9 * G), rtol=1e-4)


def test_global_norm_is_that_of_all_gradients_together():
    a, b = weights((3,), (4,))
    before = a.numpy(), b.numpy()
    SGD(1.0, global_clipnorm=1.0).apply([tf.fill([3], 2.0), tf.fill([4], 3.0)], [a, b])
    norm = np.sqrt(3 * 4 + 4 * 9)
    np.testing.assert_allclose(before[0] - a.numpy(), np.full(3, 2 / norm), rtol=1e-5)
    np.testing.assert_allclose(before[1] - b.numpy(), np.full(4, 3 / norm), rtol=1e-5)


def test_decoupled_decay_and_l2_of_the_loss_differ_under_adam_and_agree_under_plain_descent():
    """λ|θ|² of eq. 1 has the gradient 2λθ. Descent at rate η takes it as a decay of 2λ; Adam divides it by √v."""

    def trained(optimizer, l2):
        model = net(optimizer)
        if l2:
            tfnn.models.add_l2(model, 0.05)
        model.fit(X, Y, batch_size=32, epochs=5, verbose=0)
        return model.get_weights()[0]

    kernels_only = {"var_names": ["bias"]}
    for plain, decaying, same in (SGD(0.1), SGD(0.1, weight_decay=0.1), True), (Adam(0.1), AdamW(0.1, weight_decay=0.1), False):
        decaying.exclude_from_weight_decay(**kernels_only)
        assert np.allclose(trained(plain, l2=True), trained(decaying, l2=False), rtol=1e-4, atol=1e-5) is same


@pytest.mark.parametrize("cls", [SGD, Adagrad, RMSprop, Adam, AdamW])
def test_decay_comes_before_the_update_and_spares_what_is_excluded(cls):
    decayed, spared = weights((3,), (3,))
    start = decayed.numpy(), spared.numpy()
    optimizer = cls(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["w1"])
    optimizer.apply([tf.zeros([3])] * 2, [decayed, spared])
    np.testing.assert_allclose(decayed.numpy(), start[0] * (1 - 0.1 * 0.5), rtol=1e-6)
    np.testing.assert_array_equal(spared.numpy(), start[1])


@every
def test_averages_of_weights(cls):
    optimizer, (weight,) = cls(0.1, use_ema=True, ema_momentum=0.5), weights((3, 2))
    average = None
    for g in G:
        optimizer.apply([tf.constant(g)], [weight])
        average = weight.numpy() if average is None else 0.5 * average + 0.5 * weight.numpy()
    np.testing.assert_allclose(optimizer._model_variables_moving_average[0].numpy(), average, rtol=1e-5)
    optimizer.finalize_variable_values([weight])
    np.testing.assert_allclose(weight.numpy(), average, rtol=1e-5)


def test_averages_overwrite_the_weights_every_few_updates():
    optimizer, (weight,) = SGD(0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2), weights((3, 2))
    w = average = weight.numpy()
    for step, g in enumerate(G):
        w = w - 0.1 * g
        average = w if step == 0 else 0.5 * average + 0.5 * w
        w = average if step % 2 else w
        optimizer.apply([tf.constant(g)], [weight])
        np.testing.assert_allclose(weight.numpy(), w, rtol=1e-5)


@every
def test_accumulated_gradients_are_one_update_with_their_mean(cls):
    """Averages and schedules count updates, where Keras counts the gradients."""
    options = {"use_ema": True, "ema_momentum": 0.5}
    rate = lambda: tfnn.schedules.Cosine(0.1, 4)
    split, whole = cls(rate(), gradient_accumulation_steps=2, **options), cls(rate(), **options)
    np.testing.assert_allclose(run(split, G), run(whole, G.reshape(4, 2, 3, 2).mean(1)), rtol=1e-5, atol=1e-6)
    ema = [optimizer._model_variables_moving_average[0].numpy() for optimizer in (split, whole)]
    np.testing.assert_allclose(*ema, rtol=1e-5, atol=1e-6)


# Numbers that change in a run -----------------------------------------------------------------------------------------

NUMBERS = {
    "momentum": 0.5,
    "rho": 0.5,
    "beta_1": 0.5,
    "beta_2": 0.7,
    "epsilon": 0.1,
    "weight_decay": 0.3,
    "trust_coefficient": 0.5,
}


def started(cls):
    """An optimizer with all its numbers in use."""
    return cls(0.1, weight_decay=0.1, **({"momentum": 0.9} if cls in (SGD, RMSprop) else {}))


NAMED = [pytest.param(cls, name, id=f"{cls.__name__}-{name}") for cls in CLASSES for name in NUMBERS if hasattr(cls, name)]


@pytest.mark.parametrize("cls, number", NAMED)
def test_a_number_set_in_a_run_takes_effect_without_a_new_trace(cls, number):
    """Set on the optimizer or through a variable that it was given; the graph agrees with an eager optimizer."""
    graph, eager, untouched, held = (started(cls) for _ in range(4))
    variable = tf.Variable(getattr(graph, number), dtype=tf.float32)
    setattr(held, number, variable)
    results = []
    for optimizer, traced in (graph, True), (eager, False), (untouched, False), (held, True):
        (weight,) = weights((3, 2))
        optimizer.build([weight])
        update = functools.partial(lambda optimizer, weight, g: optimizer.apply([g], [weight]), optimizer, weight)
        if traced:
            update = tf.function(update)
        for step, g in enumerate(G):
            if step == 4 and optimizer is held:
                variable.assign(NUMBERS[number])
            elif step == 4 and optimizer is not untouched:
                setattr(optimizer, number, NUMBERS[number])
            update(tf.constant(g))
        assert not traced or update.experimental_get_tracing_count() == 1
        results.append(weight.numpy())
    np.testing.assert_allclose(results[0], results[1], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(results[3], results[1], rtol=1e-4, atol=1e-6)
    assert not np.allclose(results[2], results[1], rtol=1e-4, atol=1e-6)
    for optimizer in graph, held:
        assert optimizer.get_config()[number] == pytest.approx(NUMBERS[number])


@every
def test_the_rate_may_be_a_number_a_variable_a_schedule_or_a_callable(cls):
    expected = run(cls(0.25), G)
    piecewise = keras.optimizers.schedules.PiecewiseConstantDecay([100], [0.25, 0.0])
    for rate in np.float32(0.25), tf.constant(0.25), tf.Variable(0.25), keras.Variable(0.25), piecewise, lambda: 0.25:
        optimizer = cls(rate)
        np.testing.assert_allclose(run(optimizer, G), expected, rtol=1e-6)
    variable = tf.Variable(0.25)
    for rate in 0.25, variable, piecewise:
        np.testing.assert_allclose(run(cls.from_config(cls(rate).get_config()), G), expected, rtol=1e-6)


def test_the_rate_is_read_and_set_in_a_run():
    optimizer, (weight,), variable = Adam(0.1), weights((3,)), tf.Variable(0.1)
    held = Adam(variable)
    update = tf.function(lambda: [optimizer.apply([tf.ones([3])], [weight]), held.apply([tf.ones([3])], [weight])])
    update()
    before = weight.numpy()
    assert float(optimizer.learning_rate) == pytest.approx(0.1)
    optimizer.learning_rate = held.learning_rate = 0.0
    update()
    np.testing.assert_array_equal(weight.numpy(), before)
    assert variable.numpy() == 0


# Weights that come and go ---------------------------------------------------------------------------------------------


@every
def test_a_weight_unfrozen_later_joins_and_the_others_keep_their_state(cls):
    early, late = weights((3, 2), (3, 2))
    alone, together = cls(0.1), cls(0.1)
    (twin,) = weights((3, 2))
    for step, g in enumerate(G):
        alone.apply([tf.constant(g)], [twin])
        pairs = [(tf.constant(g), early), (tf.constant(g), late)][: 1 if step < 4 else 2]
        together.apply_gradients(pairs)
    np.testing.assert_array_equal(early.numpy(), twin.numpy())
    assert int(together.iterations) == 8
    if cls in (SGD, Adagrad, RMSprop, LARS):  # whose rules do not know t
        (fresh,) = weights((3, 2))
        fresh.assign(weights((3, 2), (3, 2))[1])
        rested = cls(0.1)
        for g in G[4:]:
            rested.apply([tf.constant(g)], [fresh])
        np.testing.assert_allclose(late.numpy(), fresh.numpy(), rtol=1e-6)


def test_averages_follow_their_weights_through_freezing_and_unfreezing():
    """With a rate of 0 every average is its weight; Keras writes the averages back by position."""
    for fit in keras.Model.fit, tfnn.fit:
        model = net(SGD(0.0, use_ema=True, ema_momentum=0.5))
        before = model.get_weights()
        for trainable in (False, True), (True, True), (True, False):
            for layer, flag in zip(model.layers, trainable):
                layer.trainable = flag
            model.compile(model.optimizer, "mse")
            fit(model, X, Y, verbose=0)
        for a, b in zip(model.get_weights(), before, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)


def test_a_subclass_with_lists_of_its_own_says_that_it_takes_no_late_weights():
    first, second = weights((2,), (2,))
    optimizer = Signed(0.1)
    optimizer.apply([tf.ones(2)], [first])
    with pytest.raises(ValueError, match=r"Signed.build knows no weights that join later: override add_weights"):
        optimizer.apply([tf.ones(2)] * 2, [first, second])


@every
def test_a_frozen_weight_keeps_its_state(cls):
    first, second = weights((3, 2), (3, 2))
    optimizer = cls(0.1)
    optimizer.apply([tf.constant(G[0])] * 2, [first, second])
    state = [slots[1].numpy() for slots in optimizer.state.values()]
    optimizer.apply([tf.constant(G[1])], [first])
    for slots, before in zip(optimizer.state.values(), state, strict=True):
        np.testing.assert_array_equal(slots[1].numpy(), before)


@pytest.mark.parametrize("frozen_when_saved", [False, True])
def test_state_in_a_file_finds_its_weights_whatever_was_frozen(frozen_when_saved, tmp_path):
    """Saved in the order in which weights were unfrozen, loaded in the model's order; Keras would take one for the other."""
    model = net(Adam(0.1))
    path = tmp_path / "model.keras"

    def trained(model, first):
        model.layers[0].trainable = first
        model.compile(model.optimizer, "mse")
        model.fit(X, Y, batch_size=8, shuffle=False, verbose=0)

    trained(model, first=False)
    trained(model, first=True)
    if frozen_when_saved:
        trained(model, first=False)
    model.save(path)
    again = keras.saving.load_model(path)
    for part in model, again:
        trained(part, first=True)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def slots_by_weight(model):
    held = model.optimizer
    return [held.state[slot][held._get_variable_index(w)].numpy() for w in model.trainable_variables for slot in held.slots]


def towers():
    """Two layers of one name, each in a model of its own: loaded, both are "same/kernel"."""
    inner = lambda name: keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="same")], name=name)
    model = keras.Sequential([keras.Input((4,)), inner("t1"), inner("t2")])
    model.compile(Adam(0.1), "mse")
    return model


def unnamed():
    """Three layers with the names that Keras counts up."""
    model = keras.Sequential([keras.Input((4,))] + [keras.layers.Dense(4) for _ in range(3)], name="net")
    model.compile(Adam(0.1), "mse")
    return model


SQUARE = np.random.RandomState(3).normal(size=(16, 4)).astype(np.float32)


@pytest.mark.parametrize("build", [towers, unnamed])
@pytest.mark.parametrize("late", [False, True], ids=["all trained", "the first trained later"])
@pytest.mark.parametrize("times", [1, 2])
def test_state_finds_its_weights_where_names_repeat_or_shift(build, late, times, tmp_path):
    keras.backend.clear_session()
    model = build()
    for trainable in [False, True] if late else [True]:
        model.layers[0].trainable = trainable
        model.compile(model.optimizer, "mse")
        model.fit(SQUARE, SQUARE, verbose=0)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    keras.backend.clear_session()
    keras.layers.Dense(1)  # shifts the names
    again = build()
    for _ in range(times):
        again.load_weights(tmp_path / "model.weights.h5")
    again.optimizer.build(again.trainable_variables)
    for other in again, keras.saving.load_model(tmp_path / "model.keras"):
        for a, b in zip(slots_by_weight(model), slots_by_weight(other), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("theirs, what", [(Adagrad(0.1), "does not fit"), (keras.optimizers.Adam(0.1), "by Keras's")])
def test_state_of_another_class_is_left_with_a_warning(theirs, what, tmp_path):
    model, other = net(theirs), net(Adam(0.1))
    model.fit(X, Y, verbose=0)
    model.save_weights(tmp_path / "model.weights.h5")
    other.optimizer.build(other.trainable_variables)
    with pytest.warns(UserWarning, match=what):
        other.load_weights(tmp_path / "model.weights.h5")
    assert int(other.optimizer.iterations) == 0 and not any(slot.any() for slot in slots_by_weight(other))


def test_state_of_keras_is_taken_where_there_is_one_slot(tmp_path):
    model, other = net(keras.optimizers.SGD(0.1, momentum=0.9)), net(SGD(0.1, momentum=0.9))
    model.fit(X, Y, verbose=0)
    model.save_weights(tmp_path / "model.weights.h5")
    other.optimizer.build(other.trainable_variables)
    other.load_weights(tmp_path / "model.weights.h5")
    for a, b in zip(model.optimizer.variables, other.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_state_that_waits_is_saved_again_and_handed_out_in_a_graph(tmp_path):
    optimizer, (weight,) = Adam(0.1), weights((3, 2))
    for g in G[:4]:
        optimizer.apply([tf.constant(g)], [weight])
    again, twin = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(optimizer)))), keras.Variable(weight.numpy(), name="w0")
    update = tf.function(lambda g: again.apply([g], [twin]))
    for g in G[4:]:
        optimizer.apply([tf.constant(g)], [weight])
        update(tf.constant(g))
    np.testing.assert_allclose(twin.numpy(), weight.numpy(), rtol=1e-5)


@every
def test_checkpoint_round_trip(cls, tmp_path):
    (weight,) = weights((3, 2))
    optimizer = cls(0.1, use_ema=True)
    for g in G[:4]:
        optimizer.apply([tf.constant(g)], [weight])
    saved = tf.train.Checkpoint(optimizer=optimizer).save(str(tmp_path / "checkpoint"))
    twin, other = keras.Variable(weight.numpy()), cls(0.1, use_ema=True)
    other.build([twin])
    tf.train.Checkpoint(optimizer=other).restore(saved).assert_existing_objects_matched()
    for g in G[4:]:
        optimizer.apply([tf.constant(g)], [weight])
        other.apply([tf.constant(g)], [twin])
    np.testing.assert_array_equal(weight.numpy(), twin.numpy())


# Pickling, cloning, subclassing, several ------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda part: pickle.loads(pickle.dumps(part))], ids=["deepcopy", "pickle"])
def test_a_copy_goes_on_where_the_original_stands(cls, copied):
    optimizer = started(cls)
    (weight,) = weights((3, 2))
    for g in G[:4]:
        optimizer.apply([tf.constant(g)], [weight])
    other, twin = copied(optimizer), keras.Variable(weight.numpy())
    assert other.get_config() == optimizer.get_config() and int(other.iterations) == 4
    for g in G[4:]:
        optimizer.apply([tf.constant(g)], [weight])
        other.apply([tf.constant(g)], [twin])
    np.testing.assert_array_equal(weight.numpy(), twin.numpy())


def test_scikit_learn_clones_it_and_takes_the_class_itself():
    sklearn = pytest.importorskip("sklearn.base")

    class Estimator(sklearn.BaseEstimator):
        def __init__(self, optimizer, rate):
            self.optimizer, self.rate = optimizer, rate

        def fit(self):
            optimizer = self.optimizer(self.rate) if isinstance(self.optimizer, type) else self.optimizer
            return net(optimizer).fit(X, Y, verbose=0).history["loss"][0]

    for optimizer in Adam, Adam(0.1):
        assert np.isfinite(sklearn.clone(Estimator(optimizer, 0.1)).fit())
    classifier = keras.wrappers.SKLearnRegressor(lambda X, y, optimizer: net(optimizer(0.1)), model_kwargs={"optimizer": Adam})
    assert sklearn.clone(classifier).fit(X, Y[:, 0]).predict(X).shape == (32,)


def test_compile_takes_the_registered_name():
    assert type(net("tfnn>Adam").optimizer) is Adam


@keras.saving.register_keras_serializable("tests")
class Signed(Adam):
    """A user's subclass, the Keras way: a step of its own around the rule, state of its own."""

    def build(self, variables):
        if not self.built:
            super().build(variables)
            self.seen = [self.add_variable_from_reference(v, name="seen") for v in variables]

    def update_step(self, gradient, variable, learning_rate):
        seen = self.seen[self._get_variable_index(variable)]
        self.assign_add(seen, gradient)
        super().update_step(tf.sign(gradient), variable, learning_rate)


class Lazy(SGD):
    """A user's subclass by its rule."""

    fused = False

    @staticmethod
    def rule(w, g, lr):
        return (w - lr * tf.where(abs(g) > 1, g, 0.0),)


def test_a_subclass_overrides_the_step_or_the_rule(tmp_path):
    np.testing.assert_allclose(run(Signed(0.1), G), run(Adam(0.1), np.sign(G)), rtol=1e-5)
    np.testing.assert_allclose(run(Lazy(0.1), G), run(SGD(0.1), np.where(abs(G) > 1, G, 0)), rtol=1e-5)
    model = net(Signed(0.1))
    tfnn.fit(model, X, Y, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras").optimizer
    for a, b in zip(model.optimizer.seen, again.seen, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@MULTI_OPTIMIZER
def test_several_optimizers_on_one_model():
    """Each with its own weights: by hand, and by Keras's MultiOptimizer under both kinds of fit."""
    mapped = lambda: keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(SGD(0.1, 0.9), {".*first.*": Adam(0.01)}))
    by_keras, by_us, by_hand = net(mapped()), net(mapped()), net("sgd")
    by_keras.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    tfnn.fit(by_us, X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    adam, sgd = Adam(0.01), SGD(0.1, 0.9)
    for _ in range(2):
        for start in range(0, 32, 8):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((by_hand(X[start : start + 8]) - Y[start : start + 8]) ** 2)
            gradients = tape.gradient(loss, by_hand.trainable_variables)
            adam.apply(gradients[:2], by_hand.trainable_variables[:2])
            sgd.apply(gradients[2:], by_hand.trainable_variables[2:])
    for a, b, c in zip(by_hand.get_weights(), by_keras.get_weights(), by_us.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(a, c, rtol=1e-4, atol=1e-6)


# Mixed precision, sparse gradients ------------------------------------------------------------------------------------


@every
def test_mixed_precision_with_loss_scaling_trains_as_float32(cls):
    rate = {LARS: 5.0}.get(cls, 0.01)
    scaled = keras.optimizers.LossScaleOptimizer(cls(rate), initial_scale=2.0**10)
    low, full = net(scaled, "mixed_float16"), net(cls(rate))
    for fit in tfnn.fit, keras.Model.fit:
        losses = [fit(model, X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0).history["loss"] for model in (low, full)]
        np.testing.assert_allclose(*losses, rtol=0.02)
    assert full.get_weights()[0].dtype == low.get_weights()[0].dtype == np.float32


@every
def test_sparse_gradients_are_summed_before_the_rule(cls):
    """Rows that repeat count once, with their sum; Keras squares them one by one."""
    slices = tf.IndexedSlices(tf.constant([[1.0, 2], [3, 4], [5, 6]]), tf.constant([0, 2, 2]), tf.constant([4, 2]))
    results = []
    for gradient in slices, tf.convert_to_tensor(slices):
        for options in {}, {"clipnorm": 1.0}:
            optimizer, (weight,) = cls(0.1, **options), weights((4, 2))
            for _ in range(3):
                optimizer.apply([gradient], [weight])
            results.append(weight.numpy())
    np.testing.assert_allclose(results[:2], results[2:], rtol=1e-6)


# What is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cls, options, message",
    [
        *[(cls, {"learning_rate": -0.1}, r"learning_rate=-0.1 must be in \[0, ∞\)") for cls in CLASSES],
        *[(cls, {"weight_decay": -1.0}, r"weight_decay=-1.0 must be in \[0, ∞\)") for cls in CLASSES],
        *[(cls, {"beta_1": 1.0}, r"beta_1=1.0 must be in \[0, 1\)") for cls in (Adam, AdamW, LAMB)],
        *[(cls, {"beta_2": -0.1}, r"beta_2=-0.1 must be in \[0, 1\)") for cls in (Adam, AdamW, LAMB)],
        *[(cls, {"epsilon": -1e-7}, r"epsilon=-1e-07 must be in \[0, ∞\)") for cls in (Adam, LAMB, Adagrad, RMSprop)],
        *[(cls, {"momentum": 1.0}, r"momentum=1.0 must be in \[0, 1\)") for cls in (SGD, RMSprop, LARS)],
        (RMSprop, {"rho": 1.0}, r"rho=1.0 must be in \[0, 1\)"),
        (Adagrad, {"initial_accumulator_value": -0.1}, r"initial_accumulator_value=-0.1 must be in \[0, ∞\)"),
        (LARS, {"trust_coefficient": -0.1}, r"trust_coefficient=-0.1 must be in \[0, ∞\)"),
        (AdamW, {"weight_decay": None}, "weight_decay=None"),
        (Adam, {"beta_1": None}, "beta_1=None"),
        (Adam, {"epsilon": float("nan")}, "epsilon=nan"),
        (Adam, {"beta_1": [0.1]}, r"beta_1=\[0.1\] must be in \[0, 1\)"),
        (SGD, {"learning_rate": tf.Variable(-1.0)}, r"learning_rate=.* must be in \[0, ∞\)"),
        (SGD, {"learning_rate": float("inf")}, r"learning_rate=inf must be in"),
        (SGD, {"momentum": "x"}, r"momentum=x must be in \[0, 1\)"),
        (Adagrad, {"initial_accumulator_value": "x"}, r"initial_accumulator_value=x must be in"),
        (Adam, {"amsgrad": True, "epsilon_in_root": True}, "choose one"),
    ],
)
def test_refuses_what_is_out_of_range(cls, options, message):
    with pytest.raises(ValueError, match=message):
        cls(**options)


def test_decay_cannot_be_turned_on_after_the_build():
    optimizer = Adam(0.1)
    optimizer.weight_decay = 0.1
    optimizer.build(weights((2,)))
    optimizer.weight_decay = 0.2
    with pytest.raises(ValueError, match="weight_decay=None comes too late"):
        optimizer.weight_decay = None


def test_numbers_set_later_are_checked_too():
    optimizer = SGD(0.1, momentum=tf.constant(0.5))
    optimizer.momentum = tf.constant(0.25)
    assert optimizer.momentum == 0.25
    for name, value in ("learning_rate", -1.0), ("momentum", 1.5):
        with pytest.raises(ValueError, match=f"{name}={value} must be in"):
            setattr(optimizer, name, value)
    with pytest.raises(ValueError, match=r"momentum=1.5 must be in \[0, 1\)"):
        SGD(0.1).momentum = 1.5
    optimizer.build(weights((2,)))
    with pytest.raises(ValueError, match="comes too late"):
        optimizer.momentum = tf.Variable(0.1)


def test_a_variable_that_begins_at_0_still_gives_momentum():
    mu, (weight,), twin = tf.Variable(0.0), weights((3, 2)), weights((3, 2))[0]
    held, plain = SGD(0.1, momentum=mu), SGD(0.1, momentum=0.9)
    mu.assign(0.9)
    for g in G:
        held.apply([tf.constant(g)], [weight])
        plain.apply([tf.constant(g)], [twin])
    np.testing.assert_allclose(weight.numpy(), twin.numpy(), rtol=1e-6)
