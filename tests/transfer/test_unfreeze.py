"""Stages join in mid-run; all that was there goes on."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.transfer.bodies import body, classifier, images_and_labels, values
from tfnn.transfer import StageModel, Unfreeze

X, Y = images_and_labels()


class Watch(keras.callbacks.Callback):
    """What the optimizer holds for the head, and which stages change, in each epoch."""

    def __init__(self):
        super().__init__()
        self.before, self.after, self.changed = [], [], []

    def state(self):
        head = {id(weight) for weight in self.model.get_layer("head").weights}
        optimizer = self.model.optimizer
        weights = [weight for weight in optimizer._trainable_variables if id(weight) in head]
        return [*values(variable for _, variable in optimizer.entries(weights)), int(optimizer.iterations)]

    def stages(self):
        return {layer.name: values(layer.weights) for layer in self.model.layers if isinstance(layer, StageModel)}

    def on_epoch_begin(self, epoch, logs=None):
        self.before.append(self.state())
        self.held = self.stages()

    def on_epoch_end(self, epoch, logs=None):
        self.after.append(self.state())
        now = self.stages()
        same = lambda name: all(map(np.array_equal, now[name], self.held[name]))
        self.changed.append([name for name in now if not same(name)])


def test_what_is_trained_already_keeps_its_state_to_the_bit():
    watch, model = Watch(), classifier()
    unfreeze = Unfreeze({0: 0, np.int64(2): np.int32(1), 4: "all"})
    history = tfnn.fit(model, X, Y, epochs=6, verbose=0, seed=1, callbacks=[unfreeze, watch])
    assert watch.changed == [[], [], ["C3"], ["C3"], ["C1", "C2", "C3"], ["C1", "C2", "C3"]]
    for ended, begun in zip(watch.after, watch.before[1:]):
        for old, new in zip(ended, begun, strict=True):
            np.testing.assert_array_equal(old, new)
    assert any(np.any(part) for part in watch.before[2][:-1]), "momenta that are 0 would be no proof"
    assert len(history.history["loss"]) == 6 and history.updates == int(model.optimizer.iterations) == 24
    assert history.traces == 3, "one for each set of stages"
    clocks = [model.optimizer.clocks.of(model.get_layer(name).trainable_variables[0]) for name in ("head", "C3", "C1")]
    assert [None if clock is None else int(clock.value) for clock in clocks] == [None, 16, 8]


def test_a_run_that_is_resumed_before_stages_join_keeps_a_clock_for_each(tmp_path):
    def run(epochs, directory):
        model = classifier()
        callbacks = [Unfreeze({0: 0, 1: 1, 2: "all"}), tfnn.callbacks.Checkpoint(directory)]
        tfnn.fit(model, X, Y, epochs=epochs, verbose=0, seed=1, resume=directory, callbacks=callbacks)
        return values([*model.weights, *model.optimizer.variables])

    run(1, tmp_path / "resumed")
    for resumed, whole in zip(run(3, tmp_path / "resumed"), run(3, tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(resumed, whole)


def test_a_plan_that_ends_with_fewer_stages_freezes_them_again():
    watch = Watch()
    tfnn.fit(classifier(), X, Y, epochs=3, verbose=0, seed=1, callbacks=[Unfreeze({0: 2, 1: 0, 2: 2}), watch])
    assert watch.changed == [["C2", "C3"], [], ["C2", "C3"]]


def test_layers_that_were_frozen_before_join_with_their_stage():
    backbone = body()
    backbone.trainable = False  # as Keras's guide to transfer learning has it
    for unfreeze in 0, "all":  # the second classifier on the same backbone finds it frozen, too
        model = tfnn.transfer.classifier(backbone, 10, unfreeze=unfreeze)
        assert len(model.trainable_weights) == (2 if unfreeze == 0 else 2 + len(body().trainable_weights))
    backbone.trainable = False
    watch, model = Watch(), tfnn.transfer.classifier(backbone, 10)
    model.compile(tfnn.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    tfnn.fit(model, X, Y, epochs=3, verbose=0, seed=1, callbacks=[Unfreeze({1: 2, 2: 0}), watch])
    assert watch.changed == [[], ["C2", "C3"], []]


@pytest.mark.parametrize("optimizer", [tfnn.optimizers.SGD, keras.optimizers.SGD])
def test_both_trainers_train_the_same(optimizer):
    """Without shuffling and dropout, on a rule without bias corrections, which Keras shares between early and late weights."""
    weights = []
    for fit in tfnn.fit, keras.Model.fit:
        model = classifier(optimizer(0.05, momentum=0.9), dropout=0)
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0
        fit(model, X, Y, epochs=4, verbose=0, shuffle=False, callbacks=[Unfreeze({1: 1, 2: 2})])
        weights.append(values(model.weights))
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_plain_keras_passes_over_the_change_or_loses_the_optimizers_state():
    """The reason for `Unfreeze`: `trainable` set after `compile` is ignored in silence, and a new optimizer starts anew."""
    model = classifier(keras.optimizers.Adam(0.01))
    model.fit(X, Y, verbose=0)
    stage = model.get_layer("C3")
    before = values(stage.weights)
    stage.trainable = True
    model.fit(X, Y, verbose=0)
    for old, new in zip(before, values(stage.weights)):
        np.testing.assert_array_equal(old, new)
    model.compile(model.optimizer, "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="Unknown variable"):
        model.fit(X, Y, verbose=0)
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    assert not model.optimizer.built and int(model.optimizer.iterations) == 0


@pytest.mark.slow
def test_mixed_precision_and_a_loss_that_is_scaled():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = classifier()
    finally:
        keras.config.set_dtype_policy("float32")
    watch_before = values(model.get_layer("C3").weights)
    history = tfnn.fit(model, X, Y, epochs=4, verbose=0, seed=1, callbacks=[Unfreeze({0: 0, 1: 1})])
    assert type(model.optimizer).__name__ == "LossScaleOptimizer" and history.traces == 2
    assert not np.array_equal(watch_before[0], model.get_layer("C3").weights[0])


@pytest.mark.parametrize("plan", [{}, {-1: 0}, {"1": 0}, {0.5: 1}, {True: 1}, [1, 2], None])
def test_a_plan_must_be_a_dict_of_epochs(plan):
    with pytest.raises(ValueError, match="plan="):
        Unfreeze(plan)


def test_a_plan_must_fit_the_model():
    with pytest.raises(ValueError, match="unfreeze=4 must be an integer from 0 to the 3 stages, or 'all'"):
        tfnn.fit(classifier(), X, Y, verbose=0, callbacks=[Unfreeze({0: 4})])
    with pytest.raises(ValueError, match="has no stages"):
        tfnn.fit(tfnn.models.mlp((8, 8, 1), 10), X, Y, verbose=0, callbacks=[Unfreeze({0: 1})])


def test_an_optimizer_of_keras_that_was_built_for_less_is_refused_in_words():
    model = classifier(keras.optimizers.Adam(0.01))
    model.optimizer.build(model.trainable_variables)
    with pytest.raises(ValueError, match="built for fewer stages than the plan of Unfreeze trains.*tfnn.optimizers"):
        tfnn.fit(model, X, Y, verbose=0, callbacks=[Unfreeze({0: 1})])


@pytest.mark.parametrize("optimizer", [keras.optimizers.Adam, tfnn.optimizers.Adam])
def test_a_file_of_a_model_all_of_whose_stages_joined_is_read_again(optimizer, tmp_path):
    model = classifier(optimizer(0.01))
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[Unfreeze({0: 0, 1: "all"})])
    model.save(tmp_path / "model.keras")
    state = lambda model: {v.path.split("/", 1)[-1]: v.numpy() for v in model.optimizer.variables if v.path.count("_")}
    again = keras.models.load_model(tmp_path / "model.keras")
    found, wanted = state(again), state(model)
    assert found.keys() == wanted.keys() and len(found) > 2 * len(model.trainable_variables) - 1
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    again.fit(X, Y, epochs=1, verbose=0)


def test_numbers_may_be_numpys():
    plan = {np.int64(0): tfnn.transfer.advise(len(X), Y.max() + 1, (5, 50)), np.int64(1): np.int32(2)}
    history = tfnn.fit(classifier(), X, Y, epochs=2, verbose=0, seed=1, callbacks=[Unfreeze(plan)])
    assert history.traces == 2


def test_a_model_that_is_frozen_as_a_whole_is_refused():
    model = classifier()
    model.trainable = False
    with pytest.raises(ValueError, match="is frozen as a whole, and so its head.*set model.trainable = True"):
        tfnn.fit(model, X, Y, verbose=0, callbacks=[Unfreeze({0: 1})])


def test_deeper_stages_learn_slower():
    moved = {}
    for decay in 1.0, 0.1:
        model = classifier(tfnn.optimizers.SGD(1e-3), unfreeze="all", dropout=0, kernel_initializer="he_normal")
        tfnn.transfer.layerwise_decay(model, decay)
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0
        before = {name: values(model.get_layer(name).trainable_weights) for name in ("C1", "C2", "C3", "head")}
        tfnn.fit(model, X, Y, batch_size=100, verbose=0, seed=1)
        moved[decay] = {
            name: [new - old for old, new in zip(before[name], values(model.get_layer(name).trainable_weights))]
            for name in before
        }
    for name, factor in ("head", 1), ("C3", 0.1), ("C2", 0.01), ("C1", 0.001):
        for ours, plain in zip(moved[0.1][name], moved[1.0][name]):
            np.testing.assert_allclose(ours, factor * plain, rtol=0.05, atol=3e-7)


def test_layerwise_decay_needs_a_rate_of_its_own_for_each_weight():
    for decay in 0, 1.5, float("nan"):
        with pytest.raises(ValueError, match="must be in \\(0, 1\\]"):
            tfnn.transfer.layerwise_decay(classifier(), decay)
    with pytest.raises(ValueError, match="is not compiled"):
        tfnn.transfer.layerwise_decay(classifier(compile=False))
    with pytest.raises(ValueError, match="needs one of tfnn.optimizers, got Adam"):
        tfnn.transfer.layerwise_decay(classifier(keras.optimizers.Adam()))


@pytest.mark.parametrize("examples, classes, stages", [(10, 5, 0), (100, 5, 1), (99, 5, 0), (500, 5, 2), (10**6, 10, "all")])
def test_the_bigger_the_data_set_the_more_stages(examples, classes, stages):
    assert tfnn.transfer.advise(examples, classes) == stages


def test_advice_never_falls_and_can_be_overridden():
    order = [0, 1, 2, 3, "all"]
    advised = [order.index(tfnn.transfer.advise(n, 3)) for n in range(1, 10_000, 7)]
    assert advised == sorted(advised) and set(advised) == {0, 1, 2, 3, 4}
    assert tfnn.transfer.advise(100, 10, thresholds=(5, 50)) == 1 and tfnn.transfer.advise(100, 10, thresholds=()) == 0
    for wrong in (
        dict(n_examples=0, n_classes=2),
        dict(n_examples=5, n_classes=1),
        dict(n_examples=5, n_classes=2, thresholds=(3, 2)),
    ):
        with pytest.raises(ValueError, match="must"):
            tfnn.transfer.advise(**wrong)


def test_tensorboard_and_growth_go_on_through_a_phase(tmp_path):
    """Callbacks that measure or steer in the graph meet a new graph of the same run."""
    model = classifier(tfnn.optimizers.SGD(0.05, momentum=0.9))
    growth = tfnn.callbacks.BatchSizeScheduler({2: 64})
    noise = tfnn.callbacks.NoiseScale(interval=1)
    board = tfnn.callbacks.TensorBoard(tmp_path, histogram_freq=1, update_freq=1, write_graph=False)
    callbacks = [Unfreeze({0: 0, 1: 1}), growth, noise, board]
    history = tfnn.fit(model, X, Y, epochs=4, verbose=0, seed=1, batch_size=32, accumulate=1, callbacks=callbacks)
    assert history.batch_sizes == [32, 32, 64, 64] and history.traces == 2
    assert np.isfinite(history.history["loss"]).all()
    assert list(tmp_path.rglob("*tfevents*"))


@pytest.mark.slow
def test_eager_runs_follow_too():
    model = classifier()
    model.run_eagerly = True
    watch = Watch()
    tfnn.fit(model, X[:40], Y[:40], epochs=2, verbose=0, seed=1, callbacks=[Unfreeze({0: 0, 1: 1}), watch])
    assert watch.changed == [[], ["C3"]]


def test_streams_follow_too():
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(20)
    watch = Watch()
    history = tfnn.fit(classifier(), data, epochs=2, verbose=0, seed=1, callbacks=[Unfreeze({0: 0, 1: 2}), watch])
    assert watch.changed == [[], ["C2", "C3"]] and history.traces == 2
