"""Models of every kind, none of them trained by tfnn: what they take and give keeps its names."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.serving.test_export import pictures
from tfnn.serving import Bundle

layers = keras.layers


def draw(*shape, seed=0):
    return np.random.RandomState(seed).normal(size=shape).astype("float32")


def exported(model, tmp_path, **options):
    return Bundle(tfnn.export(model, tmp_path / "m", **options))


def test_tabular_inputs_have_their_names_and_are_standardised_inside(tmp_path):
    standardize = tfnn.layers.Standardize(axis=-1)
    standardize.adapt(50 + 9 * draw(100, 2))
    age, income = keras.Input((1,), name="age"), keras.Input((1,), name="income")
    x = standardize(layers.Concatenate()([age, income]))
    model = keras.Model([age, income], layers.Dense(3, "softmax")(layers.Dense(8, "tanh")(x)))
    bundle = exported(model, tmp_path, labels=["low", "middle", "high"], embedding=True)
    inputs = {"age": 50 + draw(5, 1), "income": 50 + draw(5, 1, seed=1)}
    answer = bundle.ask("serving_default", **inputs)
    expected = model.predict(list(inputs.values()), verbose=0)
    np.testing.assert_allclose(answer["probabilities"], expected, rtol=1e-5)
    assert sorted(answer) == ["classes", "probabilities", "scores"] and answer["classes"].shape == (5, 3)
    names = np.array([b"low", b"middle", b"high"])
    assert answer["classes"][:, 0].tolist() == names[expected.argmax(-1)].tolist()
    assert list(bundle.ask("raw", **inputs)) == ["probabilities"]
    assert bundle.ask("embedding", **inputs)["embedding"].shape == (5, 8)
    assert list(bundle.about["signatures"]) == ["serving_default", "raw", "embedding"]


@pytest.mark.parametrize("freeze", [True, False])
def test_several_inputs_and_outputs_keep_their_names(freeze, tmp_path):
    image, number = keras.Input((6, 5, 3), name="picture"), keras.Input((4,), name="numbers")
    x = layers.Concatenate()([layers.Flatten()(image), number])
    outputs = {"box": layers.Dense(4)(x), "kind": layers.Dense(2, "softmax")(x)}
    model = keras.Model({"picture": image, "numbers": number}, outputs)
    inputs = {"picture": draw(3, 6, 5, 3), "numbers": draw(3, 4)}
    bundle = exported(model, tmp_path, freeze=freeze, signatures=["serving_default"])
    expected, answer = model.predict(inputs, verbose=0), bundle.ask("serving_default", **inputs)
    assert answer.keys() == expected.keys()
    for name, wanted in expected.items():
        np.testing.assert_allclose(answer[name], wanted, rtol=1e-4, atol=1e-6)


def test_a_list_of_outputs_has_the_names_of_its_layers(tmp_path):
    x = keras.Input((4,))
    shared = layers.Dense(2, name="head-one")
    model = keras.Model(x, [shared(x), shared(-x), layers.Dense(1, name="price")(x)])
    answer = exported(model, tmp_path).ask("serving_default", inputs=draw(3, 4))
    assert sorted(answer) == ["head_one", "head_one_2", "price"]
    for found, wanted in zip((answer["head_one"], answer["head_one_2"], answer["price"]), model(draw(3, 4))):
        np.testing.assert_allclose(found, wanted, rtol=1e-5)


class Two(keras.Model):
    """A subclass that takes a dict, and tells no shapes until it was called."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)
        self.dropout = layers.Dropout(0.5)

    def call(self, inputs, training=False):
        return {"sum": self.dropout(self.dense(inputs["a"]) + self.dense(inputs["b"]), training=training)}


def test_a_subclass_of_model_is_exported_after_it_was_called(tmp_path):
    model, inputs = Two(), {"a": draw(3, 4), "b": draw(3, 4, seed=1)}
    with pytest.raises(ValueError, match="call it once"):
        tfnn.export(model, tmp_path / "m")
    expected = model(inputs)["sum"]
    bundle = exported(model, tmp_path, labels=())
    asked = bundle.about["signatures"]["serving_default"]
    assert list(asked["outputs"]) == ["sum"] and {name: of["shape"] for name, of in asked["inputs"].items()} == {
        "a": [None, 4],
        "b": [None, 4],
    }
    np.testing.assert_allclose(bundle.ask("serving_default", **inputs)["sum"], expected, rtol=1e-5)


def test_regression_of_images_gives_zeros_for_what_cannot_be_read(tmp_path):
    model = keras.Sequential([keras.Input((6, 5, 3)), layers.Flatten(), layers.Dense(4, name="box")])
    bundle = exported(model, tmp_path, labels=(), preprocess=lambda x: x / 255)
    encoded = [tf.io.encode_png(image).numpy() for image in pictures((3, 6, 5, 3))]
    answer = bundle.ask("image_bytes", image_bytes=[encoded[0], b"\x89PNG cut", encoded[2], encoded[1][:50], b""])
    assert answer["ok"].tolist() == [True, False, True, False, False]
    expected = model.predict(pictures((3, 6, 5, 3)) / 255, verbose=0)
    np.testing.assert_allclose(answer["box"][[0, 2]], expected[[0, 2]], rtol=1e-4)
    assert not answer["box"][[1, 3, 4]].any()


def test_images_of_different_sizes_and_colours_share_a_batch_of_bytes(tmp_path):
    model = keras.Sequential([keras.Input((6, 5, 1)), layers.Flatten(), layers.Dense(3, "softmax")])
    bundle = exported(model, tmp_path, preprocess=lambda x: x / 255)
    images = [pictures((1, *shape))[0] for shape in ((6, 5, 1), (40, 31, 3), (9, 9, 4), (3, 2, 2))]
    encoded = [tf.io.encode_png(image).numpy() for image in images] + [tf.io.encode_jpeg(images[1], quality=100).numpy()]
    together = bundle.ask("image_bytes", image_bytes=encoded)
    for row, image in enumerate(images):
        alone = bundle.ask("serving_default", image=image[None])
        np.testing.assert_allclose(together["probabilities"][row], alone["probabilities"][0], rtol=1e-5)
    np.testing.assert_allclose(together["probabilities"][4], together["probabilities"][1], atol=0.02)
    assert bundle.ask("image_bytes", image_bytes=np.array([], object))["ok"].shape == (0,)


@pytest.mark.parametrize("freeze", [True, False])
def test_activations_with_a_gradient_of_their_own_are_exported(freeze, tmp_path):
    """SiLU, of EfficientNet: a frozen graph has no place for what its gradient reads."""
    model = keras.Sequential([keras.Input((4,), name="x"), layers.Dense(5, "silu"), layers.Dense(3, "softmax")])
    answer = exported(model, tmp_path, freeze=freeze).ask("serving_default", x=draw(3, 4))
    np.testing.assert_allclose(answer["probabilities"], model.predict(draw(3, 4), verbose=0), rtol=1e-5)


def test_one_unit_with_two_labels_is_a_classifier(tmp_path):
    model = keras.Sequential([keras.Input((4,), name="x"), layers.Dense(1, "sigmoid")])
    answer = exported(model, tmp_path, labels=["no", "yes"]).ask("serving_default", x=draw(6, 4))
    expected = model.predict(draw(6, 4), verbose=0)
    np.testing.assert_allclose(answer["probabilities"], np.concatenate([1 - expected, expected], -1), rtol=1e-5)
    assert (answer["classes"][:, 0] == np.where(expected[:, 0] > 0.5, b"yes", b"no")).all()
    logits = keras.Sequential([keras.Input((4,), name="x"), layers.Dense(1)])
    answer = exported(logits, tmp_path, from_logits=True).ask("serving_default", x=draw(6, 4))
    np.testing.assert_allclose(answer["probabilities"][:, 1], keras.ops.sigmoid(logits(draw(6, 4)))[:, 0], rtol=1e-5)


def test_a_size_is_given_to_a_model_of_any(tmp_path):
    stack = [keras.Input((None, None, 3)), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(2, "softmax")]
    model = keras.Sequential(stack)
    bundle = exported(model, tmp_path, size=(8, 9))
    images = pictures((2, 8, 9, 3))
    expected = model.predict(images.astype("float32"), verbose=0)
    np.testing.assert_allclose(bundle.ask("serving_default", image=images)["probabilities"], expected, rtol=1e-4, atol=1e-6)
    free = exported(model, tmp_path)
    assert free.about["signatures"]["serving_default"]["inputs"]["inputs"]["shape"] == [None, None, None, 3]


@contextlib.contextmanager
def policies(name):
    """The global policy within a block."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16"])
def test_half_precision_is_answered_in_float32(policy, tmp_path):
    with policies(policy):
        x = keras.Input((6, 5, 3))
        hidden = layers.Conv2D(4, 3, activation="relu")(x)
        model = keras.Model(x, layers.Dense(3, "softmax")(layers.Flatten()(hidden)))
    bundle = exported(model, tmp_path, preprocess=lambda x: x / 255, embedding=True)
    images = pictures((2, 6, 5, 3))
    answer = bundle.ask("serving_default", image=images)
    assert {value.dtype for name, value in answer.items() if name in ("scores", "probabilities")} == {np.dtype("float32")}
    assert bundle.ask("embedding", image=images)["embedding"].dtype == np.float32
    expected = keras.ops.convert_to_numpy(keras.ops.cast(model(images / 255), "float32"))
    np.testing.assert_allclose(answer["probabilities"], expected, atol=0.02)


def test_words_and_whole_numbers_are_taken_as_they_are(tmp_path):
    lookup = layers.StringLookup(vocabulary=["a", "b"])
    word, count = keras.Input((1,), dtype="string", name="word"), keras.Input((1,), dtype="int32", name="count")
    x = layers.Concatenate()([layers.Flatten()(layers.Embedding(3, 4)(part)) for part in (lookup(word), count)])
    model = keras.Model([word, count], layers.Dense(1, name="price")(x))
    bundle = exported(model, tmp_path)
    words, counts = np.array([["a"], ["b"], ["z"]], object), np.array([[0], [1], [2]], np.int32)
    answer = bundle.ask("serving_default", word=words, count=counts)["price"]
    np.testing.assert_allclose(answer, model([tf.constant(words), tf.constant(counts)]), rtol=1e-5)


def test_a_sequence_of_unknown_length_is_checked_with_the_examples_given(tmp_path):
    model = keras.Sequential([keras.Input((None,), dtype="int32", name="tokens"), layers.Embedding(9, 4), layers.LSTM(3)])
    tokens = np.arange(14).reshape(2, 7) % 9
    bundle = exported(model, tmp_path, labels=(), warmup=tokens)
    (output,) = bundle.ask("serving_default", tokens=tokens[:, :5]).values()
    np.testing.assert_allclose(output, model.predict(tokens[:, :5], verbose=0), rtol=1e-4, atol=1e-6)


def test_a_batch_of_fixed_size_is_refused(tmp_path):
    model = keras.Sequential([keras.Input(batch_shape=(2, 4)), layers.Dense(2)])
    with pytest.raises(ValueError, match="takes batches of 2 only"):
        tfnn.export(model, tmp_path / "m")


@pytest.mark.parametrize("layer", ["middle", True])
def test_the_embedding_is_the_output_of_a_layer_or_the_input_of_the_last_with_weights(layer, tmp_path):
    stack = [layers.Flatten(), layers.Dense(7, name="middle"), layers.Dense(4), layers.Dense(2), layers.Softmax()]
    model = keras.Sequential([keras.Input((6, 5, 1)), *stack])
    bundle = exported(model, tmp_path, embedding=layer, signatures=["raw"])
    assert list(bundle.about["signatures"]) == ["raw", "embedding"]
    x = pictures() / 255
    for one in stack[: 2 if layer == "middle" else 3]:
        x = one(x)
    images = pictures()
    found = bundle.ask("embedding", image=images)["embedding"] / 255
    np.testing.assert_allclose(found, x, rtol=1e-4, atol=1e-5)
