"""`tfnn.fit`: one trace, the batch that grows, seeds, hooks, refusals."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.needs import MULTI_OPTIMIZER
from tfnn.callbacks import BatchSizeScheduler
from tfnn.training.graph.pace import Pace
from tfnn.training.loop.hooks import wants


def compiled(rate=0.05, loss="sparse_categorical_crossentropy", build=None):
    keras.utils.set_random_seed(3)
    build = build or (lambda: tfnn.models.mlp((64,), 10, hidden=(16,)))
    model = build()
    model.compile(tfnn.optimizers.SGD(rate, momentum=0.9, nesterov=True), loss, metrics=["accuracy"])
    return model


def weights_of(model):
    return np.concatenate([np.ravel(w) for w in model.get_weights()])


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_grown_batch_is_exact_and_needs_no_new_trace(xy, jit_compile):
    """Growth by accumulation gives the weights of really larger batches, tails of all kinds included."""
    x, y = xy
    growing = compiled()
    plan = {1: 48, 2: 80}  # micro-batch 16; 200 = 4·48 + 8 = 2·80 + 40
    history = tfnn.fit(growing, x, y, 16, 4, 0, [BatchSizeScheduler(plan)], seed=9, jit_compile=jit_compile)
    fixed = compiled()
    for epoch, size in enumerate((16, 48, 80, 80)):
        tfnn.fit(fixed, x, y, size, epoch + 1, 0, initial_epoch=epoch, seed=9, jit_compile=jit_compile)
    np.testing.assert_allclose(weights_of(growing), weights_of(fixed), rtol=1e-4, atol=1e-5)
    assert history.batch_sizes == [16, 48, 80, 80]
    assert history.updates == int(growing.optimizer.iterations) == 13 + 5 + 3 + 3
    assert history.traces == 1


@pytest.mark.parametrize("jit_compile, traces", [(False, 1), (True, 3)])
def test_a_re_batched_run_is_one_of_larger_batches_to_the_bit(xy, jit_compile, traces):
    """Of any size, with BatchNorm, whose moments are then those of the whole batch. XLA compiles each size."""
    layers = keras.layers
    build = lambda: keras.Sequential(
        [keras.Input((64,)), layers.Dense(16, "relu"), layers.BatchNormalization(), layers.Dense(10, "softmax")]
    )
    growing, fixed, summed = (compiled(build=build) for _ in range(3))
    plan = {1: 50, 2: 77}
    options = dict(seed=9, jit_compile=jit_compile)
    history = tfnn.fit(growing, *xy, 16, 3, 0, [BatchSizeScheduler(plan, mode="rebatch")], **options)
    for epoch, size in enumerate((16, 50, 77)):
        tfnn.fit(fixed, *xy, size, epoch + 1, 0, initial_epoch=epoch, **options)
    np.testing.assert_allclose(weights_of(growing), weights_of(fixed), rtol=1e-5 if jit_compile else 0, atol=1e-6 * jit_compile)
    assert (history.batch_sizes, history.traces, history.updates) == ([16, 50, 77], traces, 13 + 4 + 3)
    tfnn.fit(summed, *xy, 16, 3, 0, [BatchSizeScheduler(plan)], **options)
    assert np.abs(weights_of(growing) - weights_of(summed)).max() > 1e-3  # micro-batches have other moments


def test_a_re_batched_stream_joins_its_batches(xy):
    dataset = tf.data.Dataset.from_tensor_slices(xy)
    growing, fixed = compiled(), compiled()
    history = tfnn.fit(growing, dataset.batch(20), epochs=2, verbose=0, callbacks=[BatchSizeScheduler({1: 80}, mode="rebatch")])
    tfnn.fit(fixed, dataset.batch(20), epochs=1, verbose=0)
    tfnn.fit(fixed, dataset.batch(80), epochs=1, verbose=0)
    np.testing.assert_array_equal(weights_of(growing), weights_of(fixed))
    assert history.updates == 10 + 3 and history.batch_sizes == [20, 80]


def test_the_first_line_tells_how_batches_are_put_together(xy, capsys):
    for jit_compile, said in (False, "one trace for all sizes"), (True, "a trace for each size"):
        growth = BatchSizeScheduler({1: 50}, mode="rebatch")
        tfnn.fit(compiled(), *xy, 16, 1, 2, [growth], jit_compile=jit_compile)
        assert f"re-batched with {said}" in capsys.readouterr().out


@pytest.mark.parametrize("source", ["arrays", "tf.data"])
def test_a_model_with_its_own_step_grows_by_larger_batches(xy, source):
    model = OwnStep(*(lambda m: (m.inputs, m.outputs))(compiled()))
    model.compile("sgd", "sparse_categorical_crossentropy")
    data = (*xy, 20) if source == "arrays" else (tf.data.Dataset.from_tensor_slices(xy).batch(20),)
    history = tfnn.fit(model, *data, epochs=2, verbose=0, callbacks=[BatchSizeScheduler({1: 100})])
    assert history.updates == 10 + 2


def one_of_several(optimizer):
    return keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(optimizer))


WRAPPERS = [
    pytest.param(lambda optimizer: optimizer, id="alone"),
    pytest.param(one_of_several, id="one of several", marks=MULTI_OPTIMIZER),
    pytest.param(keras.optimizers.LossScaleOptimizer, id="with loss scaling"),
]


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_a_size_that_is_no_multiple_is_rounded_and_the_rate_follows(xy, wrap):
    """Asked for 50 with micro-batches of 16: 48, at 48/50 of the rate."""
    x, y = xy
    rounded, exact = compiled(rate=0.05), compiled(rate=0.05 * 48 / 50)
    rounded.compile(wrap(rounded.optimizer), rounded.loss)
    history = tfnn.fit(rounded, x, y, 16, 1, 0, [BatchSizeScheduler({0: 50})], seed=2)
    tfnn.fit(exact, x, y, 48, 1, 0, seed=2)
    assert history.batch_sizes == [48]
    np.testing.assert_allclose(weights_of(rounded), weights_of(exact), rtol=1e-4, atol=1e-5)


def test_growth_by_a_function_and_history_agree(xy):
    sizes = tfnn.fit(compiled(), *xy, 20, 3, 0, [BatchSizeScheduler(lambda epoch: 20 * (epoch + 1))]).batch_sizes
    assert sizes == [20, 40, 60]


def test_schedules_in_epochs_keep_their_pace_when_the_batch_grows(xy):
    rates = []
    model = tfnn.models.mlp((64,), 10, hidden=(4,))
    schedule = tfnn.schedules.InEpochs(tfnn.schedules.Cosine(0.1, 4))
    model.compile(tfnn.optimizers.SGD(schedule), "sparse_categorical_crossentropy")
    watch = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: rates.append(float(model.optimizer.learning_rate))
    )
    tfnn.fit(model, *xy, 20, 4, 0, [BatchSizeScheduler({1: 100}), watch])
    np.testing.assert_allclose(rates, [0.05 * (1 + np.cos(np.pi * e / 4)) for e in range(4)], rtol=1e-5)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(xy):
    def run(seed):
        model = compiled(build=lambda: tfnn.models.resnet((8, 8, 1), 10, depth=8, width=4))
        tfnn.fit(model, xy[0].reshape(-1, 8, 8, 1), xy[1], epochs=2, verbose=0, seed=seed)
        return weights_of(model)

    np.testing.assert_array_equal(run(1), run(1))
    assert not np.array_equal(run(1), run(2))


def test_without_a_seed_keras_s_global_seed_decides(xy):
    def run(seed):
        keras.utils.set_random_seed(seed)
        model = tfnn.models.mlp((64,), 10, hidden=(4,))
        model.compile("sgd", "sparse_categorical_crossentropy")
        tfnn.fit(model, *xy, verbose=0)
        return weights_of(model)

    np.testing.assert_array_equal(run(4), run(4))


def test_epochs_are_shuffled_and_each_in_its_own_way():
    first, second = (tfnn.random.permutation(100, 7, epoch) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(100))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, tfnn.random.permutation(100, 7, 0))
    assert not np.array_equal(first, tfnn.random.permutation(100, 8, 0))


def test_permutation_is_uniform():
    """How often each of 5 examples stands in each place, over 2,000 epochs: within 5 standard errors of 400."""
    counts = np.zeros((5, 5))
    for epoch in range(2000):
        counts[np.arange(5), tfnn.random.permutation(5, 3, epoch)] += 1
    assert np.abs(counts - 400).max() < 5 * np.sqrt(2000 * 0.2 * 0.8)


def test_the_trace_serves_again_until_the_model_is_compiled_or_frozen_anew(xy):
    model = compiled()
    assert [tfnn.fit(model, *xy, verbose=0).traces for _ in range(2)] == [1, 0]
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert tfnn.fit(model, *xy, verbose=0).traces == 1
    before = model.layers[-1].kernel.numpy()
    model.layers[-1].trainable = False
    assert tfnn.fit(model, *xy, verbose=0).traces == 1
    np.testing.assert_array_equal(model.layers[-1].kernel, before)


def test_a_frozen_layer_is_not_ignored_as_by_keras(xy):
    """Keras 3 takes no notice of `trainable` changed after `compile` when it has built its train function."""
    frozen = []
    for fit in keras.Model.fit, tfnn.fit:
        model = compiled()
        fit(model, *xy, verbose=0)
        model.layers[-1].trainable = False
        before = model.layers[-1].kernel.numpy()
        fit(model, *xy, verbose=0)
        frozen.append(np.array_equal(model.layers[-1].kernel, before))
    assert frozen == [False, True]


def test_the_saved_model_knows_nothing_of_the_graph(xy, tmp_path):
    model = compiled()
    tfnn.fit(model, *xy, verbose=0)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    for fitted in model, again:
        tfnn.fit(fitted, *xy, epochs=2, initial_epoch=1, seed=1, verbose=0)
    np.testing.assert_array_equal(weights_of(model), weights_of(again))


def test_batch_hooks_are_called_as_by_keras(xy):
    def record(fit):
        calls = []
        hooks = {
            hook: lambda index, logs, hook=hook: calls.append((hook, index, sorted(logs or {})))
            for hook in ("on_train_batch_begin", "on_train_batch_end", "on_epoch_begin", "on_epoch_end")
        }
        fit(compiled(), *xy, batch_size=48, epochs=2, verbose=0, callbacks=[keras.callbacks.LambdaCallback(**hooks)])
        return calls

    assert record(tfnn.fit) == record(keras.Model.fit)


def test_stop_training_is_obeyed_after_a_batch(xy):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 2

    model = compiled()
    history = tfnn.fit(model, *xy, batch_size=20, epochs=5, verbose=0, callbacks=[Stop()])
    assert history.updates == 3 and len(history.history["loss"]) == 1


def test_pieces_grow_to_about_half_a_second_and_no_further():
    pace, limits = Pace(), []
    for steps, seconds in (1, 5.0), (1, 0.001), (10, 0.01), (100, 2.0):
        pace.record(steps, seconds)
        limits.append(pace.steps)
    assert limits == [1, 10, 100, 25]


def test_progress_bar_shows_the_steps_of_a_grown_batch(xy, capsys):
    tfnn.fit(compiled(), *xy, 20, 2, 2, [BatchSizeScheduler({1: 100})])
    lines = [line.split(" ")[0] for line in capsys.readouterr().out.splitlines() if "loss" in line]
    assert lines == ["10/10", "2/2"]


def test_backup_and_restore_goes_on_where_keras_does(xy, tmp_path):
    def stop(epoch, logs):
        if epoch == 1:
            raise InterruptedError

    def epochs_after_a_crash(fit, folder):
        with pytest.raises(InterruptedError):
            backup = keras.callbacks.BackupAndRestore(folder)
            fit(compiled(), *xy, epochs=4, verbose=0, callbacks=[backup, keras.callbacks.LambdaCallback(on_epoch_end=stop)])
        return fit(compiled(), *xy, epochs=4, verbose=0, callbacks=[keras.callbacks.BackupAndRestore(folder)]).epoch

    expected = epochs_after_a_crash(keras.Model.fit, str(tmp_path / "keras"))
    assert epochs_after_a_crash(tfnn.fit, str(tmp_path / "tfnn")) == expected == [2, 3]


class CountingBoard(keras.callbacks.TensorBoard):
    calls = 0

    def on_train_batch_end(self, batch, logs=None):
        self.calls += 1


def test_a_subclass_keeps_its_batch_hooks(xy, tmp_path):
    board = CountingBoard(str(tmp_path))
    tfnn.fit(compiled(), *xy, batch_size=20, epochs=2, verbose=0, callbacks=[board])
    assert board.calls == 20
    plain = keras.callbacks.TensorBoard(str(tmp_path))
    assert not wants(plain) and wants(keras.callbacks.TensorBoard(str(tmp_path), update_freq=1))
    assert wants(keras.callbacks.TensorBoard(str(tmp_path), profile_batch=3))


def test_growth_never_rounds_past_the_data():
    x, y = np.zeros((50, 4), np.float32), np.zeros(50, int)
    model = tfnn.models.mlp((4,), 2)
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert tfnn.fit(model, x, y, 32, 1, 0, [BatchSizeScheduler({0: 48})]).batch_sizes == [32]


def test_frozen_statistics_and_new_schedules_make_a_new_trace(xy):
    norm = tfnn.layers.BatchNormalization(center=False, scale=False)
    model = keras.Sequential([keras.Input((64,)), norm, keras.layers.Dense(10, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    tfnn.fit(model, *xy, verbose=0)
    norm.trainable, before = False, norm.moving_mean.numpy()
    assert tfnn.fit(model, *xy, verbose=0).traces == 1
    np.testing.assert_array_equal(norm.moving_mean, before)
    kernel = model.layers[-1].kernel.numpy()
    model.optimizer.learning_rate = tfnn.schedules.Cosine(0.0, 10)
    assert tfnn.fit(model, *xy, verbose=0).traces == 1
    np.testing.assert_array_equal(model.layers[-1].kernel, kernel)
    tfnn.models.add_l2(model, 0.1)
    assert tfnn.fit(model, *xy, verbose=0).traces == 1


class OwnMetrics(keras.Model):
    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return {"own": 1.0}


class OwnStep(keras.Model):
    def train_step(self, data):
        return {}


def test_refuses_what_it_would_do_wrongly(xy):
    x, y = xy
    model = compiled()
    own = OwnStep(model.inputs, model.outputs)
    own.compile("sgd", "mse")
    patched = compiled()
    patched.train_step = lambda data: {}
    measured = OwnMetrics(model.inputs, model.outputs)
    measured.compile("sgd", "mse")
    maker = compiled()
    maker.make_train_function = lambda force=False: None
    summed = compiled(loss=keras.losses.SparseCategoricalCrossentropy(reduction="sum"))
    eight_bits = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, "softmax")])
    eight_bits.quantize("float8")
    eight_bits.compile("sgd", "sparse_categorical_crossentropy")
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(50)
    larger = BatchSizeScheduler({1: 64}, mode="rebatch")
    refused = [
        (tfnn.models.mlp((64,), 10), (x, y), {}, "not compiled"),
        (own, (x, y), {"accumulate": 2}, "train_step of its own.*accumulate=2"),
        (patched, (x, y), {"accumulate": 2}, "train_step of its own"),
        (measured, (x, y), {"accumulate": 2}, "compute_metrics of its own"),
        (model, (x, y), {"callbacks": [larger], "accumulate": 2}, "accumulate=2 must be 1"),
        (model, (x, y), {"callbacks": [BatchSizeScheduler({}), larger]}, "choose one"),
        (maker, (x, y), {}, "make_train_function of its own"),
        (model, (x, {"a": y}), {"class_weight": {0: 1}}, "one array of labels"),
        (model, (x, y), {"epochs": -1}, "epochs=-1"),
        (model, (x, y), {"validation_batch_size": -3}, "validation_batch_size=-3"),
        (model, (x, y), {"callbacks": keras.callbacks.CallbackList([], model=model)}, "needs a History"),
        (summed, (x, y), {"callbacks": [BatchSizeScheduler({1: 64})]}, "reduction='sum'"),
        (eight_bits, (x, y), {"accumulate": 2}, "takes its gradient for its value"),
        (model, (x, y[:-1]), {}, "x: 200, y: 199"),
        (model, (None, None), {}, "needs x"),
        (model, (x[:0], y[:0]), {}, "at least one example"),
        (model, (dataset, y), {}, "y was given beside a _BatchDataset"),
        (model, (dataset.take(0),), {}, "needs batches, .* it has none"),
        (model, (dataset.repeat(),), {}, "has no end: give the steps"),
        (model, ("x", y), {}, "got str"),
        (model, (np.array([[1], [1, 2]], object), y), {}, "array of objects"),
        (model, (x, y), {"batch_size": 0}, "batch_size=0"),
        (model, (x, y), {"batch_size": 2.5}, "batch_size=2.5"),
        (model, (x, y), {"seed": -1}, "seed=-1"),
        (model, (x, y), {"accumulate": 0}, "accumulate=0"),
        (model, (x, y), {"nonfinite": "go"}, "nonfinite='go' must be"),
        (model, (x, y + 1), {}, "labels y of 1 to 10 must be in 0 to 9"),
        (model, (x, y), {"jit_compile": "yes"}, "jit_compile='yes'"),
        (model, (x, y), {"validation_split": 0.999}, "validation_split=0.999 of 200"),
        (model, (x, y), {"class_weight": {0: 1}, "sample_weight": y}, "not both"),
        (model, (x, y), {"class_weight": "balance"}, "class_weight='balance' must be 'balanced' or a dict"),
        (model, (x, y), {"class_weight": "balanced", "sample_weight": y}, "not both"),
        (model, (x, y + 0.5), {"class_weight": "balanced"}, r"needs one class .* got y of shape \(200,\) and dtype float32"),
        (model, (x, np.stack([y, y], 1)), {"class_weight": "balanced"}, r"needs one class .* shape \(200, 2\)"),
        (model, (dataset,), {"class_weight": "balanced"}, "balanced_class_weight.labels. makes"),
        (model, (x, y), {"validation_data": (x[:5], y[:4])}, "x: 5, y: 4"),
        (model, (x, y), {"callbacks": [BatchSizeScheduler({0: 16})]}, "batch size 16 must be between the micro-batch of 32"),
        (model, (x, y), {"callbacks": [BatchSizeScheduler({0: 201})]}, "batch size 201 must be .* 200 training examples"),
        (
            model,
            (x, y),
            {"callbacks": [BatchSizeScheduler(lambda epoch: 32.5)]},
            "epoch 0 must be a positive integer, got 32.5",
        ),
    ]
    for model, data, options, message in refused:
        with pytest.raises(ValueError, match=message):
            tfnn.fit(model, *data, verbose=0, **options)


def test_batch_size_scheduler_under_model_fit_says_what_to_call(xy):
    with pytest.raises(RuntimeError, match=r"model.fit fixes: call model.fit\(tfnn.data.growable\(.* or tfnn.fit\("):
        compiled().fit(*xy, verbose=0, callbacks=[BatchSizeScheduler({0: 64})])


@pytest.mark.parametrize(
    "plan, message",
    [({0: 1.5}, "must be a positive integer, got 1.5"), ({"a": 3}, "an epoch"), ({2: 0}, "must be a positive integer")],
)
def test_batch_size_scheduler_checks_its_plan_at_once(plan, message):
    with pytest.raises(ValueError, match=message):
        BatchSizeScheduler(plan)


def test_gradient_reaches_an_embedding_sparsely_and_accumulated():
    x = np.random.RandomState(0).randint(0, 50, (60, 4))
    y = x[:, 0] % 2
    results = []
    for size, plan in (20, None), (10, {0: 20}):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((4,), dtype="int32"),
                keras.layers.Embedding(50, 3),
                keras.layers.Flatten(),
                keras.layers.Dense(2, "softmax"),
            ]
        )
        model.compile(tfnn.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
        tfnn.fit(model, x, y, size, 3, 0, [BatchSizeScheduler(plan)] if plan else [], seed=1, jit_compile=False)
        results.append(weights_of(model))
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-6)


SUMMABLE = {  # the loss; a mask and weights that leave other parts of each micro-batch
    "a mask": ("sparse_categorical_crossentropy", {"mask_zero": True}),
    "an ignored class": (keras.losses.SparseCategoricalCrossentropy(ignore_class=0), {}),
    "both": (keras.losses.SparseCategoricalCrossentropy(ignore_class=0), {"mask_zero": True}),
    "weights": (keras.losses.SparseCategoricalCrossentropy(reduction="mean_with_sample_weight"), {}),
}


@pytest.mark.parametrize("kind", SUMMABLE)
def test_what_a_mask_leaves_is_summed_exactly(kind):
    """Weights and History of four micro-batches are those of the whole batch, whatever is left of each."""
    random = np.random.RandomState(0)
    x = np.where(np.arange(6) < random.randint(1, 7, (64, 1)), random.randint(1, 9, (64, 6)), 0)
    y, weights = random.randint(0, 3, (64, 6)), random.uniform(0.1, 2, (64, 6)).astype("float32")
    loss, embedding = SUMMABLE[kind]
    results = []
    for how in dict(batch_size=32), dict(batch_size=8, accumulate=4):
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Embedding(9, 3, **embedding), keras.layers.Dense(3, "softmax", kernel_regularizer="l2")]
        model = keras.Sequential([keras.Input((6,), dtype="int32"), *layers])
        model.compile(keras.optimizers.SGD(0.5), loss)
        history = tfnn.fit(model, x, y, sample_weight=weights, epochs=2, shuffle=False, verbose=0, jit_compile=False, **how)
        results.append([*weights_of(model), history.history["loss"]])
    for whole, summed in zip(*results, strict=True):
        np.testing.assert_allclose(summed, whole, rtol=2e-6, atol=2e-6)


def overlap(y, y_pred):
    """A loss of the user's own over the whole batch."""
    return 1 - tf.reduce_sum(y * y_pred) / tf.reduce_sum(y + y_pred)


@pytest.mark.parametrize("loss", [keras.losses.Dice(), keras.losses.Tversky(), overlap, ["mse", "masked"]])
def test_a_loss_that_micro_batches_do_not_give_is_refused_by_name(loss):
    x, y = np.random.RandomState(0).randint(0, 9, (60, 4)), np.ones((60, 4, 2), "float32")
    inputs = keras.Input((4,), dtype="int32")
    outputs = keras.layers.Dense(2, "softmax")(keras.layers.Embedding(9, 3, mask_zero=isinstance(loss, list))(inputs))
    model = keras.Model(inputs, [outputs, outputs] if isinstance(loss, list) else outputs)
    model.compile("sgd", ["mse", "mae"] if isinstance(loss, list) else loss)
    labels = [y, y] if isinstance(loss, list) else y
    tfnn.fit(model, x, labels, batch_size=20, verbose=0)
    with pytest.raises(
        ValueError, match="summed, which is exact where the loss is a mean over examples, and .*loss.* mode='rebatch'"
    ):
        tfnn.fit(model, x, labels, batch_size=20, verbose=0, callbacks=[BatchSizeScheduler({0: 40})])
    tfnn.fit(model, x, labels, batch_size=20, verbose=0, callbacks=[BatchSizeScheduler({0: 40}, mode="rebatch")])


def test_one_device_strategy(xy):
    plain = compiled()
    with tfnn.distribute.strategy("cpu").scope():
        placed = compiled()
    for model in plain, placed:
        tfnn.fit(model, *xy, epochs=2, verbose=0, seed=1, jit_compile=False)
    np.testing.assert_array_equal(weights_of(plain), weights_of(placed))


@pytest.mark.parametrize(
    "name, message", [("gpu", "sees no GPU"), ("tpu", "sees no TPU"), ("abacus", "must be one of auto, cpu")]
)
def test_strategies_that_are_not_there(name, message):
    with pytest.raises(ValueError, match=message):
        tfnn.distribute.strategy(name)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_schedule_in_epochs_runs_alike_on_arrays_and_on_batches_that_are_read(accumulate):
    """The clock counts the batches of a dataset as full, so the last may not be smaller here."""
    x, y = np.random.RandomState(0).normal(size=(96, 64)).astype(np.float32), np.arange(96) % 10
    weights = []
    for data in {"x": x, "y": y, "batch_size": 16}, {"x": tf.data.Dataset.from_tensor_slices((x, y)).batch(16)}:
        keras.utils.set_random_seed(2)
        model = tfnn.models.mlp((64,), 10, hidden=(8,))
        rate = tfnn.schedules.InEpochs(tfnn.schedules.Warmup(tfnn.schedules.Cosine(0.2, 3), 1))
        model.compile(tfnn.optimizers.SGD(rate), "sparse_categorical_crossentropy")
        tfnn.fit(model, **data, epochs=3, shuffle=False, verbose=0, accumulate=accumulate)
        weights.append(model.get_weights()[0])
    np.testing.assert_allclose(*weights, rtol=1e-5, atol=1e-6)
