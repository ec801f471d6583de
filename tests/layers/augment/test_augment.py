"""Augment: one resampling for all geometric members; where and when it acts."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tfnn import layers
from tfnn.layers import Augment, RandomBrightness, RandomErasing, RandomFlip, RandomRotation, RandomTranslation, RandomZoom
from tfnn.serving.graphs import DRAWS, nodes, stored


def all_kinds():
    return Augment(
        [
            RandomFlip("horizontal"),
            RandomTranslation(0.1, 0.1),
            RandomRotation(0.1),
            RandomZoom(0.2),
            layers.RandomShear(0.1, 0.1),
            layers.RandomCrop(14, 12),
            RandomBrightness(0.1),
            layers.RandomContrast(0.1),
            layers.RandomSaturation((0.4, 0.6)),
            layers.RandomHue(0.1),
            layers.RandomGaussianNoise(0.05),
            RandomErasing(0.5),
        ],
        name="augment",
    )


def images(rows=4, dtype="float32", height=16, width=12):
    return np.random.RandomState(0).uniform(0, 255, (rows, height, width, 3)).astype(dtype)


def fixed():
    """Four transforms without chance, for a picture that is wider than high."""
    zoom = RandomZoom((-0.2, -0.2), (0.1, 0.1))
    return [
        RandomTranslation((0.05, 0.05), (0.1, 0.1)),
        RandomRotation((0.06, 0.06)),
        zoom,
        RandomTranslation((-0.1, -0.1), 0.0),
    ]


def test_a_composition_is_the_product_of_matrices():
    x = images()
    members = fixed()
    expected = np.eye(3)
    for member in members:
        expected = expected @ member.draw(x).matrix[0].numpy().astype(float)
    np.testing.assert_allclose(Augment(members).draw(x).matrix, np.stack([expected] * 4), atol=1e-5)


def test_the_order_of_members_is_the_order_of_their_effects():
    x = images(1)
    shift, turn = RandomTranslation((0.25, 0.25), 0.0, "wrap"), RandomRotation((0.5, 0.5), "wrap")
    y = Augment([shift, turn])(x, training=True)
    np.testing.assert_array_equal(y, np.rot90(np.roll(x, 4, axis=1), 2, axes=(1, 2)))
    assert not np.array_equal(y, Augment([turn, shift])(x, training=True))


def test_a_member_sees_the_size_that_the_one_before_gives():
    x = images(1, height=16, width=16)
    y = Augment([layers.RandomResizedCrop(8, 8, (1, 1), (1, 1)), RandomTranslation((0.5, 0.5), 0.0, "constant")])(
        x, training=True
    )
    np.testing.assert_allclose(y[:, 4:], tf.image.resize(x, (8, 8))[:, :4], rtol=1e-5)


def high_frequencies(x):
    """Energy of the Fourier coefficients above half of the highest frequency, in the middle of the picture."""
    spectrum = np.abs(np.fft.fft2(np.asarray(x)[:, 16:48, 16:48, 0])) ** 2
    frequency = np.abs(np.fft.fftfreq(32))
    return spectrum[:, np.maximum.outer(frequency, frequency) > 0.25].mean()


def test_one_resampling_keeps_energy_that_four_in_a_row_lose():
    x = np.random.RandomState(0).normal(size=(8, 64, 64, 1)).astype("float32")
    factors = (0.013, 0.031), (-0.027, 0.017), (0.019, -0.023), (-0.011, -0.029)
    members = [RandomTranslation((a, a), (b, b)) for a, b in factors]
    row = x
    for member in members:
        row = member(row, training=True)
    once, often, before = (high_frequencies(y) for y in (Augment(members)(x, training=True), row, x))
    assert 5 * often < once < before


def test_values_change_after_pixels_have_moved():
    x = np.full((1, 8, 8, 1), 100.0, "float32")
    members = [RandomBrightness((0.2, 0.2)), RandomTranslation((0.5, 0.5), 0.0, "constant")]
    y = Augment(members)(x, training=True)[0, :, 0, 0]
    np.testing.assert_allclose(y, [51] * 4 + [151] * 4, rtol=1e-5)


def test_an_image_gets_the_same_in_any_batch_of_a_scope():
    def run(rows):
        with tfnn.random.scope(1, 2, tf.constant(rows)):
            return np.asarray(augment(images()[rows], training=True))

    augment = all_kinds()
    whole = run([0, 1, 2, 3])
    np.testing.assert_allclose(np.concatenate([run([0]), run([1, 2, 3])]), whole, rtol=1e-6)  # vectors are cut elsewhere
    np.testing.assert_allclose(run([3, 1]), whole[[3, 1]], rtol=1e-6)
    assert np.abs(whole - images()[:, 1:15]).mean() > 10


def test_a_seed_repeats_and_calls_differ():
    x = images()
    a, b = (RandomRotation(0.2, seed=5) for _ in range(2))
    first = a(x, training=True)
    np.testing.assert_array_equal(first, b(x, training=True))
    assert not np.array_equal(first, a(x, training=True))
    assert len({float(row) for row in a.draw(x).matrix[:, 0, 0]}) == len(x)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_it_is_the_identity_at_test_and_keeps_the_dtype(dtype):
    x = images(dtype=dtype)
    augment = Augment(all_kinds().layers[:5])
    for call in augment(x), augment(x, training=False):
        assert call.dtype == dtype
        np.testing.assert_array_equal(call, x)
    assert augment(x, training=True).dtype == dtype
    assert augment(keras.Input(x.shape[1:], dtype=dtype)).dtype == "float32"  # in a model
    np.testing.assert_array_equal(all_kinds()(x), x[:, 1:15])


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_any_number_of_channels(channels):
    x = np.random.RandomState(0).uniform(size=(2, 8, 8, channels)).astype("float32")
    four = [RandomFlip(), RandomRotation(0.1), layers.RandomGaussianNoise(0.1, (0, 1)), RandomErasing(value_range=(0, 1))]
    assert Augment(four)(x, training=True).shape == x.shape


def test_it_runs_in_tf_data_on_single_images_and_on_batches():
    augment = all_kinds()
    data = tf.data.Dataset.from_tensor_slices(images(10, "uint8"))
    single = data.map(lambda x: augment(x, training=True)).batch(4)
    batches = data.batch(4).map(lambda x: augment(x, training=True))
    for batch in single, batches:
        parts = list(batch)
        assert [part.shape[0] for part in parts] == [4, 4, 2] and parts[0].dtype == tf.uint8
        assert not np.array_equal(parts[0], images(10, "uint8")[:4, 1:15])


def test_images_of_unknown_size():
    augment = Augment([RandomFlip(), RandomRotation(0.1), layers.RandomGaussianNoise(0.1), layers.RandomCrop(5, 5)])
    graph = tf.function(lambda x: augment(x, training=True), input_signature=[tf.TensorSpec([None, None, None, 3])])
    for height, width in (8, 9), (12, 7):
        assert graph(np.zeros((2, height, width, 3), "float32")).shape == (2, 5, 5, 3)


def test_it_trains_inside_a_while_loop_and_under_fit(digits):
    x, y = digits.train.x[:64].astype("float32"), digits.train.y[:64]
    inputs = keras.Input((8, 8, 1))
    augmented = Augment([RandomRotation(0.05), RandomTranslation(0.1, 0.1), layers.RandomGaussianNoise(0.1, (0, 16))])(inputs)
    outputs = keras.layers.Dense(10, "softmax")(keras.layers.Flatten()(keras.layers.Conv2D(2, 3)(augmented)))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert all(layer.supports_jit for layer in model.layers)
    assert np.isfinite(tfnn.fit(model, x, y, 16, epochs=2, verbose=0).history["loss"]).all()
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"]).all()


def small_model(module):
    stack = [keras.Input((8, 8, 3)), module.RandomRotation(0.3), module.RandomBrightness(0.5), keras.layers.Flatten()]
    return keras.Sequential([*stack, keras.layers.Dense(2, "softmax")])


def random_operations(path):
    return {node.op for node in nodes(stored(path)) if DRAWS.search(node.op)}


def test_an_exported_model_draws_nothing_though_keras_bakes_its_layers_in(tmp_path):
    """`model.export` traces Keras's layers with their default, training=True: a served image is turned at random."""
    x = np.random.RandomState(0).randint(0, 256, (5, 8, 8, 3)).astype("uint8")
    keras_own, ours = small_model(keras.layers), small_model(layers)
    keras_own.export(tmp_path / "keras", verbose=False)
    served = tf.saved_model.load(tmp_path / "keras")
    assert random_operations(tmp_path / "keras")
    assert not np.array_equal(served.serve(x.astype("float32")), served.serve(x.astype("float32")))

    path = tfnn.export(ours, tmp_path / "tfnn")
    assert not random_operations(path)
    answers = [tf.saved_model.load(path).signatures["serving_default"](tf.constant(x))["probabilities"] for _ in range(2)]
    np.testing.assert_array_equal(*answers)
    np.testing.assert_allclose(answers[0], ours(x.astype("float32"), training=False), rtol=1e-5)
    ours.export(tmp_path / "ours", verbose=False)  # nor with Keras's own exporter
    assert not random_operations(tmp_path / "ours")
    served = tf.saved_model.load(tmp_path / "ours")
    np.testing.assert_allclose(served.serve(x.astype("float32")), answers[0], rtol=1e-5)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: RandomRotation(1.5), "factor=1.5 must be .* from -1 to 1"),
        (lambda: RandomRotation((0, 0.1, 0.2)), "factor"),
        (lambda: RandomRotation("much"), "factor=much"),
        (lambda: RandomTranslation(0.1, 2), "width_factor=2"),
        (lambda: RandomZoom(-1), "height_factor=-1"),
        (lambda: layers.RandomShear(-0.1), "x_factor=-0.1"),
        (lambda: RandomRotation(0.1, "mirror"), "fill_mode='mirror' must be one of"),
        (lambda: RandomRotation(0.1, interpolation="cubic"), "interpolation='cubic'"),
        (lambda: RandomFlip("diagonal"), "mode='diagonal'"),
        (lambda: layers.RandomCrop(0, 5), "height=0"),
        (lambda: layers.RandomCrop(5, 5, padding=-1), "padding=-1"),
        (lambda: layers.RandomCrop(5, 5.5), "width=5.5 must be an integer"),
        (lambda: layers.RandomCrop("5", 5), "height='5' must be an integer"),
        (lambda: layers.RandomResizedCrop(5.5, 5), "height=5.5 must be an integer"),
        (lambda: layers.RandomResizedCrop(5, 5, scale=(0, 1)), "scale="),
        (lambda: layers.RandomResizedCrop(5, 5, ratio=2), "ratio=2"),
        (lambda: RandomBrightness(float("nan")), "factor=nan"),
        (lambda: RandomBrightness(0.1, (1, 0)), "value_range=.* lowest"),
        (lambda: RandomBrightness(0.1, 255), "value_range=255"),
        (lambda: RandomBrightness(0.1, (0, float("inf"))), "value_range=.*finite"),
        (lambda: layers.RandomContrast(1.5), "factor=1.5"),
        (lambda: layers.RandomSaturation((-0.1, 0.5)), "factor="),
        (lambda: layers.RandomHue(2), "factor=2"),
        (lambda: layers.RandomGaussianNoise(-1), "stddev=-1"),
        (lambda: RandomErasing(scale=(0.1, 1.2)), "scale="),
        (lambda: Augment([]), "at least one layer"),
        (lambda: Augment(RandomFlip()), "must be a list"),
        (lambda: Augment([Augment([RandomFlip()])]), "layers must be single layers"),
        (lambda: Augment([RandomFlip(), layers.MixUp()]), r"MixUp mixes labels.*augment=\[Augment\(\[...\]\), MixUp\(\)\]"),
        (lambda: Augment([layers.CutMix()]), r"CutMix mixes labels.*, CutMix\(\)\]"),
        (lambda: Augment([keras.layers.RandomFlip()]), "layers must be .*augment"),
        (lambda: Augment([RandomRotation(0.1), RandomZoom(0.1, fill_mode="wrap")]), "agree on .*wrap"),
        (lambda: Augment([RandomRotation(0.1), RandomZoom(0.1, interpolation="nearest")]), "agree on .*nearest"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "layer, shape, message",
    [
        (RandomRotation(0.1), (8, 8), "shape .*8, 8.* must be"),
        (RandomRotation(0.1), (1, 2, 8, 8, 3), "must be"),
        (RandomRotation(0.1), (2, 0, 8, 3), "at least one pixel"),
        (layers.RandomHue(0.1), (2, 8, 8, 1), "red, green and blue, got 1"),
        (Augment([layers.RandomSaturation(0.1)]), (2, 8, 8, 4), "red, green and blue, got 4"),
        (layers.RandomCrop(9, 4), (2, 8, 8, 1), "a crop of 9 × 4 .* got 8 × 8"),
        (Augment([layers.RandomCrop(4, 4), layers.RandomCrop(5, 5)]), (2, 8, 8, 1), "a crop of 5 × 5 .* got 4 × 4"),
        (RandomErasing(fill_value=(1, 2)), (2, 8, 8, 3), "fill_value=.* 3 channels"),
        (RandomErasing(fill_value=np.ones(2)), (2, 8, 8, 3), "fill_value=.* 3 channels"),
    ],
)
def test_images_that_a_layer_cannot_act_on_are_refused(layer, shape, message):
    for training in True, False:
        with pytest.raises(ValueError, match=message):
            layer(np.zeros(shape, "float32"), training=training)
    with pytest.raises(ValueError, match=message):
        layer(keras.Input(batch_shape=shape))


def test_a_dict_is_told_of_draw():
    with pytest.raises(ValueError, match=r"got a dict of \['images', 'labels'\]: draw\(images\) moves masks"):
        RandomFlip()({"images": images(), "labels": np.zeros(4)}, training=True)


def test_images_with_an_unknown_number_of_channels():
    augment = Augment([RandomRotation(0.1), layers.RandomHue(0.1), RandomErasing(fill_value=(1, 2, 3))])
    for training in True, False:
        call = lambda x, training=training: augment(x, training=training)
        graph = tf.function(call, input_signature=[tf.TensorSpec([None, 8, 8, None])])
        assert graph(images(2, height=8, width=8)).shape == (2, 8, 8, 3)


def test_integer_images_inside_a_model_are_floats_as_its_layers_want():
    x = np.random.RandomState(0).randint(0, 256, (4, 8, 8, 3)).astype("uint8")
    layer = tfnn.layers.RandomFlip("horizontal")
    model = keras.Sequential([keras.Input((8, 8, 3), dtype="uint8"), layer, keras.layers.Conv2D(2, 3)])
    assert model(x, training=True).shape == (4, 6, 6, 2)
    assert layer.output.dtype == "float32" and layer(x, training=True).dtype == tf.uint8


def test_images_of_many_sizes_need_no_trace_each_and_may_be_ragged():
    sizes = [(8 + i, 10 + 2 * i) for i in range(6)]
    photos = [np.full((*size, 3), 100, "uint8") for size in sizes]
    data = tf.data.Dataset.from_generator(lambda: iter(photos), output_signature=tf.TensorSpec((None, None, 3), "uint8"))
    augment = tfnn.layers.Augment([tfnn.layers.RandomFlip(), tfnn.layers.RandomRotation(0.1)])
    graphs = []

    def act(image):
        graphs.append(tf.compat.v1.get_default_graph())
        return augment(image, training=True)

    assert [tuple(image.shape[:2]) for image in data.map(act)] == sizes and len(graphs) == 1
    assert not any("_XlaMustCompile" in f.attr for f in graphs[0].as_graph_def().library.function)
    ragged = next(iter(data.ragged_batch(6)))
    moved = augment(ragged, training=True)
    assert isinstance(moved, tf.RaggedTensor) and [tuple(image.to_tensor().shape[:2]) for image in moved] == sizes
    assert tfnn.layers.RandomCrop(8, 8)(ragged, training=True).shape == (6, 8, 8, 3)


def test_channels_first_is_refused(monkeypatch):
    monkeypatch.setattr(keras.config, "image_data_format", lambda: "channels_first")
    with pytest.raises(ValueError, match="'channels_first': transpose"):
        tfnn.layers.RandomFlip()(np.zeros((2, 3, 8, 8), "float32"), training=True)
