"""MixUp and CutMix: λ, pairs, boxes, labels, weights, masks."""

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

import tfnn
from tfnn.layers.augment.beta import beta
from tfnn.layers.augment.cutmix import boxes

RANDOM = np.random.RandomState(0)


def batch(rows=6, size=(8, 10), classes=4):
    x = RANDOM.uniform(0, 1, (rows, *size, 3)).astype("float32")
    return tf.constant(x), tf.constant(np.eye(classes, dtype="float32")[RANDOM.randint(0, classes, rows)])


def mixed(layer, x, y, weight=None, examples=None, epoch=0):
    rows = np.arange(len(x)) if examples is None else examples
    with tfnn.random.scope(1, epoch, tf.constant(rows, tf.int32)):
        return layer.augment_batch(x, y, weight)


def shares(layer, x, **where):
    """The λ of each example, read off one-hot labels that are all different."""
    return np.diag(mixed(layer, x, tf.eye(len(x)), **where)[1])


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5, 1.0, 1.5, 4, 16, 100])
def test_beta_is_the_quantile_function(alpha):
    """Against the inverse of the incomplete beta function; u runs over floats of 24 bits, the smallest ones too."""
    u = np.unique(np.concatenate([np.arange(2000), RANDOM.randint(0, 2**24, 20_000), 2**24 - np.arange(1, 2000)])) / 2**24
    lam = beta(tf.constant(u, tf.float32), alpha).numpy().astype(np.float64)
    if alpha <= 1:
        np.testing.assert_allclose(lam, scipy.special.betaincinv(alpha, alpha, u), atol=1e-5)
    else:
        np.testing.assert_allclose(scipy.special.betainc(alpha, alpha, lam), u, atol=2e-4)
    assert np.abs(lam - scipy.special.betaincinv(1.1 * alpha, 1.1 * alpha, u)).max() > 1e-3  # a neighbour is told apart


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_lambda_is_beta_distributed_and_drawn_for_each_example(alpha):
    """Mean ½, variance 1 / (4 (2α + 1)), and the fourth moment, from which the variance's standard error follows."""
    n = 20_000
    lam = shares_of_pairs(tfnn.layers.MixUp(alpha), n)
    variance = 1 / (4 * (2 * alpha + 1))
    fourth = 3 * variance**2 * (2 * alpha + 1) / (2 * alpha + 3)
    assert abs(lam.mean() - 0.5) < 5 * np.sqrt(variance / n)
    assert abs(((lam - 0.5) ** 2).mean() - variance) < 5 * np.sqrt((fourth - variance**2) / n)


def shares_of_pairs(layer, n):
    """λ of n examples of value 1, each paired with one of 0 or of 1 in turn."""
    x = tf.zeros((2 * n, 1))
    x = tf.tensor_scatter_nd_update(x, tf.range(0, 2 * n, 2)[:, None], tf.ones((n, 1)))
    mixed_x, _, _ = mixed(layer, x, x)
    return mixed_x.numpy()[::2, 0].astype(np.float64)


def test_mixup_is_the_mixture_of_each_example_with_the_one_before_it():
    x, y = batch()
    weight = tf.constant(RANDOM.uniform(0, 2, 6).astype("float32"))
    layer = tfnn.layers.MixUp(0.7)
    lam = shares(layer, x)
    assert lam.min() > 0 and lam.max() < 1 and len(set(lam)) == 6
    for given, got in zip((x, y, weight), mixed(layer, x, y, weight)):
        a = given.numpy()
        share = lam.reshape([-1] + [1] * (a.ndim - 1))
        np.testing.assert_allclose(got, share * a + (1 - share) * np.roll(a, 1, axis=0), rtol=1e-6)


def test_cutmix_pastes_a_box_and_mixes_labels_by_its_share_of_pixels():
    x, y = batch()
    masks = {name: tf.constant(RANDOM.randint(0, 9, (6, 8, 10, *more))) for name, more in (("flat", ()), ("deep", (2,)))}
    weight = tf.constant(RANDOM.uniform(0, 2, 6).astype("float32"))
    pixel_weight = tf.constant(RANDOM.uniform(0, 2, (6, 8, 10)).astype("float32"))
    labels = {"class": y, **masks}
    x_new, y_new, (weight_new, pixel_new) = mixed(tfnn.layers.CutMix(), x, labels, (weight, pixel_weight))
    before = np.roll(x, 1, axis=0)
    pasted = (x_new.numpy() == before).all(-1)
    assert np.all((x_new.numpy() == x.numpy()).all(-1) | pasted) and 0 < pasted.mean() < 1
    for image in pasted:  # a box: full wherever both a row and a column of it are met
        np.testing.assert_array_equal(image, image.any(1)[:, None] & image.any(0)[None])
    lam = 1 - pasted.mean((1, 2))
    for given, got in (y, y_new["class"]), (weight[:, None], weight_new[:, None]):
        a = given.numpy()
        np.testing.assert_allclose(got, lam[:, None] * a + (1 - lam[:, None]) * np.roll(a, 1, axis=0), rtol=1e-6)
    for given, got in *((masks[name], y_new[name]) for name in masks), (pixel_weight, pixel_new):
        a = given.numpy()
        where = pasted.reshape(pasted.shape + (1,) * (a.ndim - 3))
        np.testing.assert_array_equal(got, np.where(where, np.roll(a, 1, axis=0), a))
        assert got.dtype == given.dtype


def test_boxes_are_those_of_the_paper():
    """λ = ¾: half of each side; λ = 0: all, wherever the centre; λ = 1: nothing; a corner: a quarter of the box is left."""
    lam, y, x = (tf.constant(a, tf.float32) for a in ([0.75, 0, 1, 0.75], [0.5, 0.5, 0.5, 0.0], [0.5, 0.5, 0.5, 0.0]))
    inside = boxes(lam, y, x, 8, 12).numpy()
    expected = np.zeros((4, 8, 12), bool)
    expected[0, 2:6, 3:9] = expected[1] = expected[3, :2, :3] = True
    np.testing.assert_array_equal(inside, expected)


def test_box_sizes_and_places_are_distributed_as_in_the_paper():
    """1 − λ and centre uniform: the mean share of pixels and how often each line is reached, by the same rule in numpy."""
    n, size = 20_000, 32
    random = np.random.RandomState(5)
    side, centre = np.round(size * np.sqrt(random.uniform(size=n))), np.floor(size * random.uniform(size=(2, n)))
    low = np.maximum(centre - side // 2, 0)
    high = np.minimum(centre - side // 2 + side, size)
    expected = np.prod((high - low) / size, axis=0)
    layer = tfnn.layers.CutMix()
    with tfnn.random.scope(1, 0, tf.range(n)):
        u, cy, cx = layer.uniforms(tf.zeros((n, 1)), 3)
    inside = boxes(beta(u, 1.0), cy, cx, size, size).numpy()
    found = inside.mean((1, 2))
    assert abs(found.mean() - expected.mean()) < 5 * np.sqrt((found.var() + expected.var()) / n)
    for axis in 1, 2:
        reached = inside.any(axis).mean(0)  # the share of boxes that reach each column or row
        at = np.arange(size)
        by_reference = ((low[axis - 1][:, None] <= at) & (at < high[axis - 1][:, None])).mean(0)
        np.testing.assert_allclose(reached, by_reference, atol=5 * np.sqrt(2 * 0.25 / n))


@pytest.mark.parametrize("make", [tfnn.layers.MixUp, tfnn.layers.CutMix])
def test_a_draw_belongs_to_the_example_however_the_batch_is_split(make):
    x, _ = batch(6)
    whole = shares(make(), x)
    parts = [shares(make(), x[part], examples=np.arange(6)[part]) for part in (slice(0, 2), slice(2, 6))]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-6)
    assert not np.allclose(shares(make(), x, epoch=1), whole)
    np.testing.assert_allclose(mixed(make(), x[:1], tf.eye(1))[0], x[:1], rtol=1e-6)  # alone: mixed with itself


@pytest.mark.parametrize("make", [tfnn.layers.MixUp, tfnn.layers.CutMix])
def test_graph_and_xla_give_the_eager_batch_in_one_trace(make):
    layer = make()
    for jit in False, True:
        run = tf.function(
            lambda x, y: layer({"images": x, "labels": y}, training=True),
            jit_compile=jit,
            input_signature=[tf.TensorSpec([None, 8, 10, 3]), tf.TensorSpec([None, 4])],
        )
        for rows in 1, 5:
            x, y = batch(rows)
            with tfnn.random.scope(1, 2, tf.range(rows)):
                eager = layer({"images": x, "labels": y}, training=True)
            graph = tf.function(lambda x, y, r: in_scope(layer, x, y, r), jit_compile=jit)(x, y, tf.range(rows))
            np.testing.assert_allclose(graph["images"], eager["images"], rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(graph["labels"], eager["labels"], rtol=1e-4, atol=1e-5)
            assert run(x, y)["images"].shape == x.shape
        assert run.experimental_get_tracing_count() == 1


def in_scope(layer, x, y, rows):
    with tfnn.random.scope(1, 2, rows):
        return layer({"images": x, "labels": y}, training=True)


@pytest.mark.parametrize("make", [tfnn.layers.MixUp, tfnn.layers.CutMix])
@pytest.mark.parametrize("dtype", ["uint8", "float16", "bfloat16", "float64"])
def test_dtypes(make, dtype):
    x, y = batch()
    images, labels, weight = mixed(make(), tf.cast(x * 255, dtype), tf.cast(y, tf.int32), tf.range(6))
    kept = make is tfnn.layers.CutMix or dtype != "uint8"
    assert images.dtype == (dtype if kept else "float32")
    assert labels.dtype == weight.dtype == tf.float32
    exact = mixed(make(), x * 255, y)[0]
    np.testing.assert_allclose(tf.cast(images, tf.float32), exact, atol=3 if dtype == "bfloat16" else 1)


@pytest.mark.parametrize("make", [tfnn.layers.MixUp, tfnn.layers.CutMix])
def test_the_layer_in_tf_data_and_at_rest(make):
    x, y = batch(12)
    layer = make(seed=3)
    dataset = tf.data.Dataset.from_tensor_slices({"images": x, "labels": y}).batch(6)
    batches = list(dataset.map(lambda both: layer(both, training=True)))
    assert len(batches) == 2 and not np.allclose(batches[0]["images"], x[:6])
    np.testing.assert_allclose(tf.reduce_sum(batches[0]["labels"], -1), 1, rtol=1e-6)
    np.testing.assert_array_equal(layer(x), x)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is make and again.get_config() == layer.get_config()


def test_refuses():
    x, y = batch()
    classes = tf.argmax(y, 1)
    mixup, cutmix = tfnn.layers.MixUp(), tfnn.layers.CutMix()
    for act, message in (
        (lambda: tfnn.layers.MixUp(0), "alpha=0 must be positive"),
        (lambda: tfnn.layers.CutMix(float("inf")), "alpha=inf must be positive and finite"),
        (lambda: tfnn.layers.MixUp("0.2"), "alpha='0.2' must be positive and finite"),
        (lambda: mixed(mixup, x, y[:3]), r"y of shape \(3, 4\) must have 6, as x has"),
        (lambda: mixed(cutmix, x, y[:3]), r"y of shape \(3, 4\) must have 6, as x has"),
        (lambda: mixup({"images": x[0], "labels": y[0]}, training=True), r"y of shape \(4,\) must have 8"),
        (lambda: mixup(x, training=True), "mixup needs labels"),
        (lambda: cutmix({"images": x}, training=True), "cutmix needs labels"),
        (lambda: mixed(mixup, x, None), "mixup mixes labels: it needs y"),
        (lambda: mixed(mixup, x, classes), r"y of int64 \(6,\) must be one-hot"),
        (lambda: mixed(cutmix, x, classes[:, None]), r"y of int64 \(6, 1\) must be one-hot"),
        (lambda: mixed(mixup, x, tf.zeros((6, 8, 10), tf.int32)), "must be one-hot"),
        (lambda: mixed(cutmix, x, tf.zeros((6, 8, 9), tf.int32)), r"masks of \(8, 9\) must have the height and width"),
        (lambda: mixed(cutmix, x[:, 0], y), "needs images"),
    ):
        with pytest.raises(ValueError, match=message):
            act()
