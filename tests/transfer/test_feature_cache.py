"""Features that were computed once give the weights that features computed at each update give."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.transfer.bodies import classifier, images_and_labels, values
from tfnn.internals.functional import calls_of
from tfnn.transfer import FeatureCache, Unfreeze
from tfnn.transfer.feature_key import description
from tfnn.transfer.feature_store import Memory

X, Y = images_and_labels(60)
HELD_OUT = images_and_labels(140)[0][100:], images_and_labels(140)[1][100:]


def run(cache, model=None, x=X, **options):
    model = model or classifier(dropout=options.pop("dropout", 0.2))
    options = {"epochs": 3, "verbose": 0, "seed": 1, "validation_data": HELD_OUT, "jit_compile": False} | options
    history = tfnn.fit(model, x, Y, cache=cache, **options)
    return model, history


def check_same(one, other):
    (model, history), (cached, cached_history) = one, other
    for ours, theirs in zip(values(cached.weights), values(model.weights), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert history.history.keys() == cached_history.history.keys()
    for name, numbers in history.history.items():
        np.testing.assert_allclose(cached_history.history[name], numbers, atol=1e-5, err_msg=name)


class Calls:
    """Counts how often a stage is traced, and computes."""

    def __init__(self, model):
        self.images = 0
        self.stage = model.get_layer("C1")
        self.call = self.stage.call
        self.stage.call = self.counted

    def counted(self, inputs, training=None, mask=None):
        tf.py_function(self.add, [tf.shape(inputs)[0]], [])
        return self.call(inputs, training=training, mask=mask)

    def add(self, count):
        self.images += int(count)


def test_the_head_learns_the_same_and_the_backbone_sees_each_image_once(capfd):
    model = classifier()
    calls = Calls(model)
    cached = run(FeatureCache(), model, verbose=2)
    assert calls.images == len(X) + len(HELD_OUT[0])
    assert "features of 60 images computed, 0.0 MB" in capfd.readouterr().out
    check_same(run(None), cached)


def test_weights_of_examples_growth_and_a_plan_are_kept():
    options = dict(
        callbacks=lambda: [Unfreeze({0: 0, 2: 1}), tfnn.callbacks.BatchSizeScheduler({1: 32})],
        class_weight={label: 1.0 + label for label in range(10)},
        batch_size=16,
        epochs=4,
    )
    plain, cached = (run(cache, **options | {"callbacks": options["callbacks"]()}) for cache in (None, FeatureCache()))
    check_same(plain, cached)
    assert cached[1].batch_sizes == [16, 32, 32, 32] and cached[1].traces == 2


@pytest.fixture(scope="module")
def in_files(tmp_path_factory):
    """X as images in files."""
    folder = tmp_path_factory.mktemp("images")
    files = [folder / f"{index}.png" for index in range(len(X))]
    for file, image in zip(files, X):
        file.write_bytes(tf.io.encode_png(image.astype(np.uint8)).numpy())
    return tfnn.data.ImageFiles(files, map(str, range(len(files))), (8, 8, 1))


@pytest.mark.parametrize("files", [False, True], ids=["arrays", "files"])
@pytest.mark.parametrize("plan", [{0: 0, 2: 1}, {0: 1, 2: 0}], ids=["cached first", "cached last"])
def test_epochs_that_are_no_passes_go_on_where_the_last_one_ended(in_files, files, plan):
    options = dict(steps_per_epoch=3, batch_size=16, epochs=4, dropout=0, x=in_files if files else X)
    plain, cached = (run(cache, callbacks=[Unfreeze(plan)], **options) for cache in (None, FeatureCache()))
    check_same(plain, cached)


def test_images_in_files_have_the_features_of_those_in_memory(tmp_path, in_files):
    cache = FeatureCache(tmp_path / "features", batch_size=7)
    check_same(run(FeatureCache(), dropout=0), run(cache, x=in_files, dropout=0))
    assert len(list((tmp_path / "features").iterdir())) == 2


def test_augmented_copies_are_those_of_the_first_epochs():
    augment = tfnn.layers.RandomTranslation(0.2, 0.2)
    check_same(run(None, augment=augment, dropout=0), run(FeatureCache(copies=3), augment=augment, dropout=0))
    (two, _), (three, _) = (run(FeatureCache(copies=k), augment=augment, dropout=0) for k in (2, 3))
    assert not np.allclose(two.get_layer("head").kernel, three.get_layer("head").kernel, atol=1e-5), (
        "the third repeats the first"
    )


@pytest.mark.parametrize("copies", [1, 2])
def test_held_out_images_are_never_augmented_even_where_they_are_those_of_the_training(copies):
    options = dict(augment=tfnn.layers.RandomTranslation(0.2, 0.2), dropout=0, epochs=1, validation_data=(X, Y))
    check_same(run(None, **options), run(FeatureCache(copies=copies), **options))


def reason(capfd, model=None, cache=None, x=X, y=Y, **options):
    model = model or classifier()
    tfnn.fit(model, x, y, cache=cache or FeatureCache(), verbose=2, seed=1, jit_compile=False, **options)
    return capfd.readouterr().out


def test_one_line_says_why_features_are_not_cached(capfd):
    soft = classifier(compile=False)
    soft.compile("adam", "categorical_crossentropy")
    assert "not cached: C3 is trained" in reason(capfd, classifier(unfreeze=1))
    assert "not cached: C2, C3 are trained" in reason(capfd, classifier(unfreeze=2))
    assert "FeatureCache(copies=k) keeps k augmented copies" in reason(capfd, augment=tfnn.layers.RandomFlip())
    assert "not cached: MixUp mixes labels" in reason(capfd, soft, FeatureCache(copies=2), augment=tfnn.layers.MixUp(0.2))
    small = FeatureCache(max_bytes=1000)
    assert "not cached: 2,880 bytes are above max_bytes=1,000" in reason(capfd, cache=small)
    stream = tf.data.Dataset.from_tensor_slices((X, Y)).batch(20)
    assert "not cached: images are read as a stream" in reason(capfd, x=stream, y=None)
    assert "not cached: validation images are read as a stream" in reason(capfd, validation_data=stream)
    mlp = tfnn.models.mlp((8, 8, 1), 10)
    mlp.compile("sgd", "sparse_categorical_crossentropy")
    assert "not cached: the model has no stages" in reason(capfd, mlp)


def under(*layers):
    """A classifier of which layers of a user's own stand below the stages."""
    x = inputs = keras.Input((8, 8, 1))
    for layer in [*layers, *classifier(compile=False).layers[1:]]:
        x = layer(x)
    model = keras.Model(inputs, x)
    model.compile(tfnn.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    return model


def test_layers_below_the_stages_are_trained_and_draw(capfd):
    adapt, flip = keras.layers.Conv2D(1, 1, name="adapt"), tfnn.layers.RandomFlip(name="flip")
    model = under(adapt)
    before = values(adapt.weights)
    assert "not cached: adapt, below the stages, is trained" in reason(capfd, model, epochs=2)
    assert not np.array_equal(before[0], adapt.weights[0])
    told = "not cached: flip, below the stages, may give something else in training"
    assert told in reason(capfd, under(flip))
    assert "features of 60 images computed" in reason(capfd, under(keras.layers.Rescaling(2.0)))


def test_a_head_that_takes_more_than_the_features_is_not_cached(capfd):
    stages, more = classifier(compile=False), keras.Input((2,))
    features = stages.get_layer("dropout").output
    mixed = keras.layers.Concatenate()([features, more])
    two = keras.Model([stages.input, more], keras.layers.Dense(10, "softmax")(mixed))
    (second,) = [call.outputs[0] for call in calls_of(stages) if call.operation.name == "C2"]
    early = keras.layers.Flatten()(second)
    skipping = keras.Model(stages.input, keras.layers.Dense(10, "softmax")(keras.layers.Concatenate()([features, early])))
    for model, x, told in (
        (two, [X, np.ones((60, 2), np.float32)], "the model takes more than images"),
        (skipping, X, "the head takes more than what the last stage gives"),
    ):
        model.compile(tfnn.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        assert f"not cached: {told}" in reason(capfd, model, x=x)


def test_what_is_no_cache_is_refused():
    with pytest.raises(ValueError, match="cache='features' must be a tfnn.transfer.FeatureCache"):
        run("features")


class Noted(keras.layers.Layer):
    def call(self, x):
        self.add_loss(keras.ops.mean(x))
        return x


class OwnLoss(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return keras.ops.mean(x) + super().compute_loss(x, y, y_pred, sample_weight, training)


def small(end):
    """A classifier on a backbone that ends in `end`."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, 2)(inputs)
    model = tfnn.transfer.classifier(keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(end(x))), 10)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def test_losses_that_the_head_alone_would_not_have_are_kept(capfd):
    for layer in Noted(), keras.layers.ActivityRegularization(l2=0.1):
        assert "not cached: layers of the backbone add to the loss" in reason(capfd, small(layer))
    plain = small(keras.layers.ReLU())
    own = OwnLoss(plain.input, plain.output)
    own.compile("adam", "sparse_categorical_crossentropy")
    assert "not cached: the model has a compute_loss of its own" in reason(capfd, own)


ops = keras.ops
DIFFERENT = {
    "numbers of an operation": (lambda x: ops.clip(x, 0, 6), lambda x: ops.clip(x, 0, 1)),
    "its settings": (lambda x: ops.leaky_relu(x, 0.1), lambda x: ops.leaky_relu(x, 0.9)),
    "an axis": (lambda x: ops.flip(x, 1), lambda x: ops.flip(x, 2)),
    "a slice": (lambda x: x[:, 1:], lambda x: x[:, :-1]),
    "an array": (lambda x: x - np.float32([1, 2, 3, 4]), lambda x: x - np.float32([1, 2, 3, 5])),
    "which of several outputs": (lambda x: ops.split(x, 2, -1)[0], lambda x: ops.split(x, 2, -1)[1]),
    "the order": (lambda x: x - ops.relu(x), lambda x: ops.relu(x) - x),
    "a layer's array": (
        lambda x: keras.layers.Normalization(mean=np.arange(4.0), variance=np.ones(4))(x),
        lambda x: keras.layers.Normalization(mean=np.arange(1.0, 5), variance=np.ones(4))(x),
    ),
}


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_backbones_that_differ_in_one_thing_have_keys_of_their_own(pair):
    body = lambda end: FeatureCache().split(small(end))[0]
    one, same, other = (description(body(end), (), 0) for end in (pair[0], *pair))
    assert one is not None and one == same != other


class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x


def in_folder(folder, capfd):
    """A function that trains, and gives whether it found its features in the folder."""
    return lambda **options: "kept" in reason(capfd, cache=FeatureCache(folder, copies=1), **options)


def test_a_folder_keeps_features_for_the_same_images_and_weights(tmp_path, capfd):
    told = in_folder(tmp_path, capfd)
    assert not told()
    assert told(), "the same model, built again, whose layers have other names"
    other = classifier()
    kernel = other.get_layer("C1").trainable_weights or other.get_layer("C1").weights
    kernel[0].assign(kernel[0] * 1.0001)
    assert not told(model=other)


def test_a_folder_keeps_features_for_the_same_augmentation(tmp_path, capfd):
    told = in_folder(tmp_path, capfd)
    assert not told()
    changed = X.copy()
    changed[7, 3, 3] += 1
    assert not told(x=changed)
    flip = tfnn.layers.RandomFlip("horizontal")
    assert not told(augment=flip) and told(augment=tfnn.layers.RandomFlip("horizontal"))
    assert not told(augment=tfnn.layers.RandomFlip("vertical"))
    before = sorted(tmp_path.iterdir())
    assert not told(augment=Doubled()) and not told(augment=Doubled()), "what a layer of the user's does, nobody knows"
    assert sorted(tmp_path.iterdir()) == before and len(before) == 4


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_a_folder_gives_features_as_it_was_given_them(dtype, tmp_path):
    features = tf.random.normal([2, 5, 3], dtype=dtype).numpy()
    store = tfnn.transfer.feature_store.Folder(tmp_path, 10**6)
    store.put("a", features)
    assert store.get("a").dtype == dtype
    np.testing.assert_array_equal(store.get("a"), features)


def test_a_damaged_file_is_computed_anew(tmp_path, capfd):
    reason(capfd, cache=FeatureCache(tmp_path))
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    for broken in bytes(content), file.read_bytes()[:100], b"":
        file.write_bytes(broken)
        with pytest.warns(UserWarning, match="damaged, features are computed anew"):
            assert "computed" in reason(capfd, cache=FeatureCache(tmp_path))
    assert "kept" in reason(capfd, cache=FeatureCache(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [file.name], "nothing else is left there"


def test_what_was_used_longest_ago_makes_room(tmp_path):
    for store in Memory(3000), tfnn.transfer.feature_store.Folder(tmp_path, 5000):
        arrays = [np.full((1, 250), k, np.float32) for k in range(4)]
        for key, array in zip("abc", arrays):
            store.put(key, array)
        np.testing.assert_array_equal(store.get("a"), arrays[0])
        store.put("d", arrays[3])
        assert store.get("b") is None
        for key, k in ("a", 0), ("d", 3):
            np.testing.assert_array_equal(store.get(key), arrays[k])


def test_a_resume_that_is_refused_leaves_the_weights_as_they_are(tmp_path):
    run(FeatureCache(), callbacks=[tfnn.callbacks.Checkpoint(tmp_path)], epochs=1)
    other = classifier(tfnn.optimizers.SGD(0.1))
    before = values(other.weights)
    with pytest.raises(ValueError, match="cannot resume from .*optimizer is tfnn.SGD, the checkpoint's tfnn.Adam"):
        run(FeatureCache(), other, resume=tmp_path)
    for old, new in zip(before, values(other.weights), strict=True):
        np.testing.assert_array_equal(old, new)


def test_other_files_in_the_folder_stay(tmp_path):
    np.savez(tmp_path / "data.npz", x=np.zeros(1000))
    store = tfnn.transfer.feature_store.Folder(tmp_path, 100)
    for key in "ab":
        store.put(key, np.zeros((1, 250), np.float32))
    assert store.get("a") is None and (tmp_path / "data.npz").exists()


def test_a_folder_that_cannot_be_written_ends_no_run(tmp_path, capfd):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file; features need a directory"):
        FeatureCache(tmp_path / "file")
    with pytest.warns(UserWarning, match="features cannot be kept there"):
        assert "computed" in reason(capfd, cache=FeatureCache("/proc/features"))


@pytest.mark.parametrize("name", ["copies", "max_bytes", "batch_size"])
def test_numbers_must_be_positive_integers(name):
    for number in 0, -1, 1.5, 2.0, True, "x":
        with pytest.raises(ValueError, match=f"{name}={number!r} must be a positive integer"):
            FeatureCache(**{name: number})


def test_a_second_run_on_the_same_model_needs_no_trace_and_the_model_can_be_saved(tmp_path):
    model, cache = classifier(), FeatureCache()
    run(cache, model)
    _, history = run(cache, model)
    assert history.traces == 0
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(X), model(X))
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
