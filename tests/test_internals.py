"""What `tfnn.internals` gives is what Keras and TensorFlow hold, and where a name is missing one error says so."""

import io

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfnn.internals import (
    applications,
    base_optimizer,
    callbacks,
    compiled,
    data,
    files,
    functional,
    layers,
    lookup,
    optimizers,
    random,
    tensorflow,
)


@pytest.fixture(scope="module")
def model():
    """Two outputs, a layer that is called twice, a model in a model; compiled, built, not trained."""
    x = keras.Input((4,), name="x")
    twice = keras.layers.Dense(4, name="twice")
    inner = keras.Sequential([keras.layers.Dropout(0.5, seed=1), keras.layers.Dense(3, "softmax")], name="inner")
    model = keras.Model(x, {"a": inner(twice(twice(x))), "b": keras.layers.Dense(1, name="b")(x)})
    model.compile(
        keras.optimizers.SGD(0.5, momentum=0.9),
        {"a": "sparse_categorical_crossentropy", "b": "mse"},
        metrics={"a": ["accuracy"]},
        weighted_metrics={"b": ["mae"]},
    )
    compiled.build(model, (spec(4), {"a": spec(dtype=tf.int32), "b": spec(1)}, None))
    return model


def spec(*shape, dtype=tf.float32):
    return tf.TensorSpec([None, *shape], dtype)


# Layers and graphs ---------------------------------------------------------------------------------------------------


def test_layers(model):
    inner = model.get_layer("inner")
    assert layers.layers_of(model, include_self=True)[0] is model
    assert set(inner.layers) < set(layers.layers_of(model)) and model not in layers.layers_of(model)
    assert set(layers.layers_of(model, recursive=False)) == set(model.layers)
    assert [generator.state.shape for generator in layers.seed_generators_of(inner.layers[0])] == [(2,)]
    assert layers.input_shapes_of(keras.Sequential([keras.layers.Dense(1)])) is None


@pytest.mark.parametrize("layer", (keras.layers.Dropout(0.5), keras.layers.Dense(1), keras.Sequential(), keras.layers.ReLU()))
def test_what_takes_training_is_what_keras_tells(layer):
    assert layers.takes_training(layer) == layer._call_has_training_arg
    assert not layers.takes_training(lambda x, training: x)


def test_masks_and_logits():
    given = keras.layers.Embedding(5, 2, mask_zero=True)(np.array([[1, 0]]))
    assert layers.mask_of(given).numpy().tolist() == [[True, False]] and layers.mask_of(tf.zeros(1)) is None
    chosen, scores = keras.activations.softmax(given), given
    assert layers.logits_of(chosen) is scores and layers.logits_of(scores) is scores


def test_the_graph_of_a_functional_model(model):
    calls = functional.calls_of(model)
    twice = [call for call in calls if call.operation.name == "twice"]
    assert len(twice) == 2 and calls[0].operation.name == "x"
    assert twice[1].parents == [twice[0].operation] and twice[1].inputs[0] is twice[0].outputs[0]
    assert twice[1].arguments[0][0] is twice[1].inputs[0] and twice[1].arguments[1] == {}
    assert functional.origin_of(twice[1].outputs[0]) == (twice[1].node, 0)
    assert functional.giver_of(model.output["b"]).name == "b"
    assert functional.outputs_of(model).keys() == {"a", "b"} and functional.inputs_of(model) is model.inputs[0]
    assert functional.is_functional(model) and not functional.is_functional(model.layers[0])


# What compile leaves -------------------------------------------------------------------------------------------------


def test_losses(model):
    assert compiled.has_loss(model)
    (first, loss), (second, _) = compiled.losses_of(model)
    assert [first, second] == [("a",), ("b",)] and loss.name == "sparse_categorical_crossentropy"
    assert compiled.loss_mean(model) is model.metrics[0]


def test_no_loss():
    plain = keras.Sequential([keras.layers.Dense(1)])
    plain.compile("sgd")
    assert not compiled.has_loss(plain) and compiled.losses_of(plain) == [] and compiled.metrics_of(plain) == []
    assert compiled.metrics_given(plain) is None
    compiled.update_metrics(plain, tf.zeros(1), tf.zeros(1), None)


def test_metrics(model):
    assert compiled.metrics_given(model) == [{"a": ["accuracy"]}, {"b": ["mae"]}]
    assert [(output, metric.name) for output, metric in compiled.metrics_of(model)] == [("a", "accuracy"), ("b", "mae")]
    assert {"accuracy", "mae", "loss"} <= {metric.name for metric in compiled.every_metric(model)}
    y = {"a": tf.constant([0, 1]), "b": tf.constant([[1.0], [3.0]])}
    y_pred = {"a": tf.constant([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]), "b": tf.zeros((2, 1))}
    assert float(compiled.compute_loss(model, None, y, y_pred, None, training=False)) > 5  # mse alone is 5
    compiled.update_metrics(model, y, y_pred, None)
    assert [float(metric.result()) for _, metric in compiled.metrics_of(model)] == [0.5, 2.0]
    logs = compiled.results_of(model, dict.fromkeys(model.get_metrics_result(), 0.0))
    assert float(logs["b_mae"]) == 2 if "b_mae" in logs else float(logs["mae"]) == 2
    assert compiled.results_of(model, {"own": 1}) == {"own": 1}
    assert compiled.in_order(model, {"zebra": 3, "loss": 1}) == [1, 3]
    model.reset_metrics()


def test_epochs(model):
    assert compiled.restored_epoch(model) is None
    assert [compiled.validates(model, epoch, 2) for epoch in range(4)] == [False, True, False, True]
    assert [compiled.validates(model, epoch, [1]) for epoch in range(2)] == [True, False]
    model.make_train_function()
    compiled.forget_training(model)
    assert model.train_function is None


# Optimizers ----------------------------------------------------------------------------------------------------------


def test_the_rate_is_replaced_and_put_back(model):
    optimizer, rate = model.optimizer, optimizers.rate_in(model.optimizer)
    before = list(optimizer.variables)
    with pytest.raises(KeyError), optimizers.replaced_rate(optimizer, lambda: 7.0):
        assert optimizer.learning_rate == 7
        raise KeyError
    assert optimizers.rate_in(optimizer) is rate and float(optimizer.learning_rate) == 0.5
    assert all(a is b for a, b in zip(optimizer.variables, before, strict=True))


def test_what_an_optimizer_holds(model):
    optimizer, weights = model.optimizer, model.trainable_variables
    assert all(a is b for a, b in zip(optimizers.weights_of(optimizer), weights, strict=True))
    assert [optimizers.place_of(optimizer, weight) for weight in weights] == list(range(len(weights)))
    assert optimizers.key_of(optimizer, weights[0]) == optimizers.key_of(optimizer, weights[0].value)
    assert optimizers.call_count_of(optimizer) is optimizer.iterations and optimizers.decays(optimizer, weights[0])
    assert optimizers.averages_of(optimizer) == optimizers.sums_of(optimizer) == []
    assert optimizers.strategy_of(optimizer) is tf.distribute.get_strategy()
    optimizers.check_known(optimizer, weights)
    with pytest.raises(ValueError, match="Unknown variable"):
        optimizers.check_known(optimizer, [keras.Variable(1.0)])


def test_averages_and_sums():
    optimizer, weight = keras.optimizers.SGD(use_ema=True, gradient_accumulation_steps=2), keras.Variable([1.0, 2.0])
    optimizer.build([weight])
    assert len(optimizers.averages_of(optimizer)) == len(optimizers.sums_of(optimizer)) == 1
    extra = keras.Variable(0.0, trainable=False)
    optimizers.track(optimizer, extra)
    assert optimizer.variables[-1] is extra


def test_no_sum_over_replicas(model):
    """TensorFlow keeps the gradient of each `tf.custom_gradient`, of which a sum over replicas has one."""
    weight = keras.Variable(1.0)
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build([weight])

    def operations():
        update = tf.function(lambda gradient: optimizer.apply([gradient], [weight]))
        return {op.type for op in update.get_concrete_function(tf.TensorSpec([])).graph.get_operations()}

    summed = operations()
    with optimizers.without_all_reduce(optimizer):
        assert len(operations()) < len(summed)
    assert operations() == summed


def test_an_optimizer_cannot_be_made_where_keras_calls_other_methods(monkeypatch):
    monkeypatch.setattr(base_optimizer, "OVERRIDDEN", ("_backend_apply_gradients", "_gone"))
    with pytest.raises(NotImplementedError, match=r"\._gone, which is missing in Keras"):
        base_optimizer.BaseOptimizer(0.1)


# Callbacks, data, seeds, files ---------------------------------------------------------------------------------------


def test_fields_of_callbacks(tmp_path):
    """After a run each callback has all fields that are known of it."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(use_ema=True), "mse")
    made = (
        keras.callbacks.EarlyStopping("loss"),
        keras.callbacks.ReduceLROnPlateau("loss"),
        keras.callbacks.ModelCheckpoint(str(tmp_path / "a.keras"), save_freq=3),
        keras.callbacks.BackupAndRestore(str(tmp_path / "backup"), save_freq=3),
        keras.callbacks.SwapEMAWeights(),
        keras.callbacks.TensorBoard(str(tmp_path), write_steps_per_second=True),
    )
    history = model.fit(np.zeros((2, 1)), np.zeros(2), callbacks=made, verbose=0)
    for callback, (kind, names) in zip((*made, history), callbacks.FIELDS.items(), strict=True):
        assert isinstance(callback, kind) and callbacks.fields_of(callback).keys() == set(names)
    callbacks.set_fields(made[1], {"wait": 3})
    assert callbacks.fields_of(made[1])["wait"] == 3
    assert callbacks.traces_batches(made[-1]) is False


def test_the_table_of_a_logger(tmp_path):
    logger = keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    logger.set_model(keras.Sequential())
    logger.on_train_begin()
    logger.on_epoch_end(0, {"loss": 1.0, "val_loss": 4.0})
    held = callbacks.table_of(logger)
    for loss in 2.0, 3.0:
        logger.on_epoch_end(1, {"loss": loss, "val_loss": 4.0})
        if loss == 2:
            callbacks.set_table(logger, **held)
    logger.on_train_end()
    assert (tmp_path / "log.csv").read_text().split() == ["epoch,loss,val_loss", "0,1.0,4.0", "1,3.0,4.0"]


def test_the_progress_bar_and_its_lines(capsys, monkeypatch):
    bar = keras.callbacks.ProgbarLogger()
    bar.set_params({"verbose": 1, "epochs": 1, "steps": 8})
    bar.on_epoch_begin(0)
    callbacks.set_progress_target(bar, 3)
    bar.on_train_batch_end(0)
    callbacks.print_line("told")
    assert "1/3" in (shown := capsys.readouterr().out) and shown.endswith("told\n")
    keras.config.disable_interactive_logging()
    callbacks.print_line("hushed")
    assert "hushed" not in capsys.readouterr().out


def test_directions():
    kinds = keras.metrics.SparseCategoricalAccuracy(), keras.metrics.MeanSquaredError(), keras.metrics.Mean()
    assert [callbacks.direction_of(metric) for metric in kinds] == ["up", "down", None]


def test_adapters():
    def batches():
        for length in 3, 5:
            yield np.zeros((2, length), np.float32), np.zeros(2, np.float32)

    adapter = data.adapter_for(batches())
    assert data.signature_of(adapter) is None and data.first_batch(adapter)[0].shape == (2, 3)
    adapter.get_tf_dataset()
    x, y = data.signature_of(adapter)
    assert x.shape.as_list() == [None, None] and y.shape.as_list() == [None]
    data.set_signature(adapter, (tf.TensorSpec([2, None]), y))
    assert adapter.get_tf_dataset().element_spec[0].shape.as_list() == [2, None]
    with pytest.raises(ValueError):
        data.adapter_for(object())


def test_the_seed_generator_of_all():
    before = random.global_seeds()
    try:
        random.set_global_seeds(None)
        assert random.global_seeds() is None
        made = random.made_global_seeds()
        assert random.global_seeds() is made and isinstance(made, keras.random.SeedGenerator)
        state = made.state.numpy()
        keras.random.uniform((1,))
        assert (made.state.numpy() != state).any()
    finally:
        random.set_global_seeds(before)


def test_files(tmp_path):
    assert files.name_in_files(keras.layers.DepthwiseConv2D) == "depthwise_conv2d"
    assert files.keras_folder().endswith("keras")


def test_constructors_of_networks():
    make = lambda **arguments: keras.applications.MobileNetV2(include_top=False, input_shape=(96, 96, 3), **arguments)
    assert applications.asked_input_shape(lambda: make(weights=None))["min_size"] == 32
    name, url, _ = applications.asked_file(lambda: make(weights="imagenet"))
    assert url.endswith(name) and "96" in name and name.endswith(".h5")
    assert applications.asked_file(lambda: None) is None
    theirs = applications.preprocess_input_of(keras.applications.MobileNetV2)
    assert theirs is keras.applications.mobilenet_v2.preprocess_input


# TensorFlow ----------------------------------------------------------------------------------------------------------


def test_a_frozen_function_and_traces():
    w = tf.Variable(2.0)
    function = tf.function(lambda x: tf.identity(w * x, "y"))
    assert tensorflow.traces_of(function) == [] and tensorflow.traces_of(len) == []
    concrete = function.get_concrete_function(tf.TensorSpec([]))
    assert tensorflow.traces_of(function) == [concrete]
    frozen = tensorflow.frozen(concrete)
    w.assign(5.0)
    assert float(frozen(tf.constant(3.0))[0]) == 6


def test_saved_files(tmp_path):
    module = tf.Module()
    module.w = tf.Variable([1.0], name="mine")
    module.f = tf.function(lambda x: module.w * x, input_signature=[tf.TensorSpec([])])
    tf.saved_model.save(module, str(tmp_path))
    reader = tf.train.load_checkpoint(str(tmp_path / "variables" / "variables"))
    assert reader.get_tensor(tensorflow.keys_in(reader)["mine"]).tolist() == [1.0]
    graph = tensorflow.graph_in((tmp_path / "saved_model.pb").read_bytes())
    node = graph.node[0]
    for mark in tensorflow.MARKS:
        node.attr[mark].b = True
    tensorflow.forget_marks(node)
    assert not set(tensorflow.MARKS) & set(node.attr)


def test_across_replicas():
    strategy = tf.distribute.get_strategy()
    assert tensorflow.across_replicas(lambda strategy, x, y: x + y, strategy, 1, 2) == 3


# Without a name ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ask, name",
    (
        (lambda: optimizers.rate_in(io.StringIO()), "_io.StringIO._learning_rate"),
        (lambda: lookup.part(keras.Model, "_gone"), "keras.src.models.model.Model._gone"),
        (lambda: lookup.part(tf, "_gone"), "tensorflow._gone"),
        (lambda: lookup.imported("keras.src.gone", "x"), "keras.src.gone.x"),
        (lambda: lookup.imported("keras.src.backend", "_gone"), "keras.src.backend._gone"),
    ),
)
def test_an_error_names_what_is_missing(ask, name):
    with pytest.raises(NotImplementedError) as raised:
        ask()
    assert str(raised.value).startswith(f"tfnn needs {name}, which is missing in Keras {keras.__version__} on TensorFlow ")
    assert "\n" not in str(raised.value)
