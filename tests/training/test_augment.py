"""`tfnn.fit(augment=...)`: what the model sees in training, and only there."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.benchmarks.augmented_accuracy import augmentation, error_on_test
from tfnn.callbacks import BatchSizeScheduler
from tfnn.training.graph.xla import OFF, choose_jit
from tfnn.training.loop.work import Work

LAYERS = keras.layers


def compiled(loss="categorical_crossentropy", metrics=("accuracy",), shape=(8, 8, 1), outputs=10):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input(shape), LAYERS.Flatten(), LAYERS.Dense(outputs, "softmax")])
    model.compile(tfnn.optimizers.SGD(0.002), loss, metrics=list(metrics))
    return model


def weights_of(model):
    return np.concatenate([np.ravel(w) for w in model.get_weights()])


@pytest.fixture(scope="module")
def images(digits):
    return digits.train.x[:100], digits.train.y[:100]


def noise(examples, count=64):
    """What `Noise` draws, as numpy: one array for each epoch, for seed 5."""
    draws = []
    for epoch in range(3):
        with tfnn.random.scope(5, epoch, tf.constant(examples, tf.int32)):
            draws.append(tfnn.random.uniforms(len(examples), count, None).numpy())
    return draws


def add_noise(x):
    numbers = tfnn.random.uniforms(tf.shape(x)[0], 64, None)
    return tf.cast(x, tf.float32) + tf.reshape(numbers, tf.shape(x))


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_draws_are_a_function_of_seed_epoch_and_example(images, jit_compile, shuffle):
    """Three epochs in one trace equal three fits, each on data to which the epoch's numbers were added before."""
    x, y = images
    y = np.eye(10)[y]
    model, by_hand = compiled(), compiled()
    options = {"batch_size": 32, "verbose": 0, "shuffle": shuffle, "seed": 5, "jit_compile": jit_compile}
    history = tfnn.fit(model, x, y, epochs=3, augment=add_noise, **options)
    assert history.traces == 1
    for epoch, numbers in enumerate(noise(range(100))):
        noisy = x + numbers.reshape(x.shape)
        tfnn.fit(by_hand, noisy, y, epochs=epoch + 1, initial_epoch=epoch, **options)
    np.testing.assert_allclose(weights_of(model), weights_of(by_hand), rtol=1e-5, atol=1e-6)


def test_a_later_fit_with_another_seed_or_epoch_needs_no_trace(images):
    x, y = images
    model = compiled("sparse_categorical_crossentropy")
    start = model.get_weights()
    results = []
    for seed, first in (1, 0), (1, 0), (2, 0), (1, 3):
        model.set_weights(start)
        history = tfnn.fit(model, x, y, 32, first + 1, 0, initial_epoch=first, shuffle=False, seed=seed, augment=add_noise)
        results.append(weights_of(model))
        assert history.traces == (len(results) == 1)
    np.testing.assert_array_equal(results[0], results[1])
    assert not np.allclose(results[0], results[2]) and not np.allclose(results[0], results[3])
    assert tfnn.fit(model, x, y, 32, verbose=0, shuffle=False).traces == 1  # without augment: another graph


def test_a_layer_of_the_model_draws_in_the_scope_too(images):
    class Noisy(keras.layers.Layer):
        def call(self, x, training=False):
            return add_noise(x) if training else tf.cast(x, tf.float32)

    x, y = images
    runs = []
    for inside in True, False:
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.Input((8, 8, 1)), *[Noisy()] * inside, LAYERS.Flatten(), LAYERS.Dense(10, "softmax")])
        model.compile(tfnn.optimizers.SGD(0.002), "sparse_categorical_crossentropy")
        tfnn.fit(model, x, y, epochs=2, verbose=0, seed=5, augment=None if inside else add_noise)
        runs.append(weights_of(model))
    np.testing.assert_allclose(*runs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_augmentation_does_not_depend_on_how_a_batch_is_split(images, jit_compile):
    """Micro-batches of 16 that grow to 48 see the images that batches of 48 see."""
    x, y = images
    results = []
    for size, callbacks in (16, [BatchSizeScheduler({0: 48})]), (48, []):
        model = compiled("sparse_categorical_crossentropy")
        augment = tfnn.layers.Augment([tfnn.layers.RandomFlip(), tfnn.layers.RandomRotation(0.1)], name="augment")
        tfnn.fit(model, x, y, size, 2, 0, callbacks, seed=1, augment=augment, jit_compile=jit_compile)
        results.append(weights_of(model))
    np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-5)


def test_validation_and_the_saved_model_are_not_augmented(images, tmp_path):
    x, y = images
    model = compiled("sparse_categorical_crossentropy")
    model.optimizer.learning_rate = 0.0
    history = tfnn.fit(model, x, y, epochs=1, verbose=0, validation_data=(x, y), augment=lambda x: 0 * x)
    expected = model.evaluate(x, y, verbose=0)
    np.testing.assert_allclose([history.history["val_loss"][0], history.history["val_accuracy"][0]], expected, rtol=1e-5)
    assert history.history["loss"][0] == pytest.approx(np.log(10), rel=1e-5)  # of blank images
    model.save(tmp_path / "m.keras")
    assert len(keras.saving.load_model(tmp_path / "m.keras").layers) == 2


def test_steps_run_in_turn_and_uint8_images_are_taken(images):
    x, y = images
    model, by_hand = compiled("sparse_categorical_crossentropy"), compiled("sparse_categorical_crossentropy")
    steps = [lambda x: x[:, ::-1], LAYERS.Rescaling(0.5), lambda x: x - 1]
    tfnn.fit(model, x, y, epochs=2, verbose=0, seed=1, augment=steps)
    tfnn.fit(by_hand, x[:, ::-1] * 0.5 - 1, y, epochs=2, verbose=0, seed=1)
    assert x.dtype == np.uint8
    np.testing.assert_allclose(weights_of(model), weights_of(by_hand), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("make", [tfnn.layers.MixUp, tfnn.layers.CutMix])
def test_integer_labels_mixed_are_one_hot_labels_mixed(images, make, jit_compile):
    x, y = images
    results = []
    for labels in y, y[:, None], np.eye(10, dtype="float32")[y], np.eye(10, dtype=int)[y]:
        model = compiled()
        history = tfnn.fit(model, x, labels, 32, 2, 0, validation_split=0.2, seed=1, augment=make(), jit_compile=jit_compile)
        results.append([weights_of(model), history.history["val_loss"], history.history["val_accuracy"]])
        assert history.traces == 1
    for result in results[1:]:
        for a, b in zip(results[0], result):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    plain = compiled()
    tfnn.fit(plain, x, np.eye(10)[y], 32, 2, 0, validation_split=0.2, seed=1, jit_compile=jit_compile)
    assert not np.allclose(weights_of(plain), results[0][0], atol=1e-4)


def test_mixup_under_fit_is_the_gradient_at_the_mixture(images):
    """One update on the whole batch, without shuffling, against fit on data that was mixed before, weights included."""
    x, y = images
    weight = np.random.RandomState(0).uniform(0, 2, 100).astype("float32")
    model, by_hand = compiled(), compiled()
    layer = tfnn.layers.MixUp(1.0)
    tfnn.fit(model, x, y, 100, 1, 0, sample_weight=weight, shuffle=False, seed=7, augment=layer)
    with tfnn.random.scope(7, 0, tf.range(100)):
        data = layer.augment_batch(tf.constant(x), tf.one_hot(y, 10), tf.constant(weight))
    tfnn.fit(by_hand, data[0], data[1], 100, 1, 0, sample_weight=data[2], shuffle=False)
    np.testing.assert_allclose(weights_of(model), weights_of(by_hand), rtol=1e-5, atol=1e-6)


def test_binary_labels_mix_without_becoming_one_hot(images):
    x, y = images
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8, 1)), LAYERS.Flatten(), LAYERS.Dense(1, "sigmoid")])
    model.compile(tfnn.optimizers.SGD(0.002), "binary_crossentropy")
    losses = tfnn.fit(model, x, y % 2, epochs=3, verbose=0, seed=1, augment=tfnn.layers.MixUp()).history["loss"]
    assert losses[-1] < losses[0]


def test_several_outputs_mix_alike(images):
    x, y = images
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    flat = LAYERS.Flatten()(inputs)
    outputs = {"digit": LAYERS.Dense(10, "softmax", name="digit")(flat), "odd": LAYERS.Dense(1, "sigmoid", name="odd")(flat)}
    model = keras.Model(inputs, outputs)
    model.compile("sgd", {"digit": "categorical_crossentropy", "odd": "binary_crossentropy"})
    history = tfnn.fit(model, x, {"digit": y, "odd": y % 2}, verbose=0, augment=tfnn.layers.CutMix())
    assert np.isfinite(history.history["loss"][0])


def segmenter(loss):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8, 1)), LAYERS.Conv2D(3, 1, activation="softmax")])
    model.compile(tfnn.optimizers.SGD(0.1), loss)
    return model


def test_masks_move_with_their_images(images):
    """A model that tells each pixel's class by its value learns from moved images only if the masks moved, too."""
    x = images[0] // 6  # 0, 1, 2
    steps = [tfnn.layers.RandomFlip("horizontal_and_vertical"), tfnn.layers.CutMix()]
    seen = []

    class Compare:
        def augment_batch(self, x, y, sample_weight):
            seen.append(tf.reduce_all(tf.cast(x[..., 0], tf.int32) == tf.cast(y, tf.int32)))
            with tf.control_dependencies([tf.debugging.assert_equal(tf.cast(x[..., 0], tf.int32), tf.cast(y, tf.int32))]):
                return tf.identity(x), y, sample_weight

    model = segmenter("sparse_categorical_crossentropy")
    tfnn.fit(model, x, x[..., 0], 20, 2, 0, augment=[*steps, Compare()], sample_weight=x[..., 0] + 1.0, jit_compile=False)
    assert seen
    with pytest.raises(ValueError, match=r"labels of shape \(4, 8\) are no masks of images \(8, 8, 1\)"):
        tfnn.fit(model, x, x[:, :4, :, 0], 20, augment=steps[:1], verbose=0)
    with pytest.raises(ValueError, match="the height and width of the images"):
        tfnn.fit(model, x, x[:, :4, :, 0], 20, augment=steps[1:], verbose=0)


def detector():
    inputs = keras.Input((8, 8, 1))
    flat = LAYERS.Flatten()(inputs)
    outputs = {
        "boxes": LAYERS.Reshape((3, 4), name="boxes")(LAYERS.Dense(12)(flat)),
        "class": LAYERS.Dense(2, name="class")(flat),
    }
    model = keras.Model(inputs, outputs)
    model.compile(tfnn.optimizers.SGD(0.0), {"boxes": "mae", "class": "mse"})
    return model


def test_boxes_as_labels_move_by_an_object_of_the_users_own_and_are_refused_by_a_layer(images):
    x = images[0]
    boxes = np.sort(np.random.RandomState(0).uniform(0, 8, (100, 3, 4)).astype("float32"))
    shift = tfnn.layers.RandomTranslation((0.25, 0.25), 0.0, "constant")

    class Detection:
        def augment_batch(self, x, y, sample_weight):
            transform = shift.draw(x)
            return transform.images(x), {**y, "boxes": transform.boxes(y["boxes"])}, sample_weight

    model, y = detector(), {"boxes": boxes, "class": np.zeros((100, 2))}
    found = tfnn.fit(model, x, y, 100, verbose=0, augment=Detection()).history["boxes_loss"][0]
    shifted_x = np.concatenate([np.zeros_like(x[:, :2]), x[:, :-2]], 1)
    shifted_boxes = np.clip(boxes + np.float32([0, 2, 0, 2]), 0, 8)
    expected = np.abs(model.predict(shifted_x, verbose=0)["boxes"] - shifted_boxes).mean()
    assert found == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match=r"labels of shape \(3, 4\) are no masks .* boxes and points .* augment_batch"):
        tfnn.fit(model, x, y, augment=shift, verbose=0)


def test_masks_mixed_by_mixup_become_one_hot(images):
    x = images[0] // 6
    model = segmenter("categorical_crossentropy")
    assert np.isfinite(tfnn.fit(model, x, x[..., 0], verbose=0, augment=tfnn.layers.MixUp()).history["loss"][0])


def test_xla_is_chosen_with_an_eye_on_the_augmentation():
    model, long = compiled(), Work(updates=10**6, validated=0, epochs=1)
    assert choose_jit(model, "auto", long)[0].on is True
    assert choose_jit(model, "auto", long, (tfnn.layers.MixUp(), add_noise)) == choose_jit(model, "auto", long)
    unable = LAYERS.RandomRotation(0.1)
    for steps in (unable,), (LAYERS.Pipeline([unable]),):
        assert choose_jit(model, "auto", long, steps) == (OFF, OFF, f"layer {unable.name!r} does not support XLA")


def test_keras_s_own_layers_serve(images):
    x, y = images
    model = compiled("sparse_categorical_crossentropy")
    steps = [LAYERS.RandomFlip(seed=1), LAYERS.RandomRotation(0.1, seed=1), LAYERS.RandomBrightness(0.1, (0, 16), seed=1)]
    history = tfnn.fit(model, x, y, epochs=2, verbose=0, augment=steps)
    assert history.traces == 1 and not history.jit_compile and np.isfinite(history.history["loss"]).all()


def test_refuses(images):
    x, y = images
    mixup = tfnn.layers.MixUp()
    sparse_metric = compiled(metrics=[keras.metrics.SparseCategoricalAccuracy()])
    for model, labels, augment, message in (
        (compiled(), y, "flip", "augment='flip' must be a layer, a function of x, or a list of them"),
        (compiled(), y, [mixup, 3], "must be a layer"),
        (compiled(), None, mixup, "mixup mixes labels: it needs y, got None"),
        (compiled("sparse_categorical_crossentropy"), y, mixup, "loss 'sparse_categ.* with 'categorical_crossentropy'"),
        (compiled(keras.losses.SparseCategoricalCrossentropy()), y, mixup, "compile with 'CategoricalCrossentropy'"),
        (sparse_metric, y, mixup, "metric 'SparseCategoricalAccuracy' takes one class"),
        (compiled(shape=(64,)), y, tfnn.layers.CutMix(), r"cutmix needs images .* got shape \(None, 8, 8\)"),
        (compiled(), y + 1, mixup, "labels y of 1 to 10 must be in 0 to 9"),
        (compiled(), np.eye(10)[y], lambda x: x[..., 0], r"was given shape \(8, 8, 1\) and gave \(8, 8\)"),
        (compiled(), np.eye(10)[y], lambda x: (x, x), "axes and channels must be the same"),
        (compiled(), np.eye(10)[y], lambda x: None, "axes and channels must be the same"),
    ):
        with pytest.raises(ValueError, match=message):
            tfnn.fit(model, x[..., 0] if "needs images" in message else x, labels, verbose=0, augment=augment)


@pytest.mark.slow
def test_augmentation_lowers_the_error_on_few_digits(digits):
    """10 per class, three seeds; all ten are measured by `python -m tests.benchmarks augmented_accuracy`."""
    errors = [[error_on_test(digits, seed, augment, epochs=200) for seed in range(1, 4)] for augment in (augmentation(), None)]
    assert sum(errors[0]) <= 0.75 * sum(errors[1]), errors
