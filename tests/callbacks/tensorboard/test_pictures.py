"""Images: of augmented batches, of weights, and of the confusion matrix."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.callbacks.tensorboard.runs import tensors
from tfnn.callbacks import TensorBoard
from tfnn.callbacks.tensorboard import pictures

RNG = np.random.RandomState(0)
IMAGES, LABELS = RNG.uniform(size=(20, 4, 4, 1)).astype(np.float32), np.arange(20) % 3


def classifier():
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])
    model.compile(tfnn.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    return model


def decoded(event):
    step, value = event
    return step, [tf.io.decode_png(png).numpy() for png in value[2:]]


SOURCES = {
    "arrays": lambda: (IMAGES, LABELS, 8),
    "tf.data": lambda: (tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(8),),
}


@pytest.mark.parametrize("source", SOURCES)
def test_images_are_those_that_the_model_saw(source, tmp_path):
    """A layer that draws as a function of the example: the shown batch must be one of those that it gave in training."""
    seen = []

    def dimmed(x):
        x = x * tf.random.stateless_uniform([], [1, tf.cast(1000 * x[0, 0, 0, 0], tf.int32)])
        tf.py_function(lambda x: seen.append(x.numpy()), [x], [])
        return x

    board = TensorBoard(tmp_path, image_freq=2)
    tfnn.fit(
        classifier(), *SOURCES[source](), epochs=3, verbose=0, callbacks=[board], augment=dimmed, jit_compile=False, seed=2
    )
    events = [decoded(event) for event in tensors(tmp_path / "train")["inputs"]]
    assert [step for step, _ in events] == [3, 9]  # epochs 0 and 2, of three updates
    for _, shown in events:
        batches = [np.round(255 * batch) for batch in seen if len(batch) == len(shown)]
        assert any(np.array_equal(batch, shown) for batch in batches)


def test_looking_draws_nothing_from_an_augmenting_layers_generator(tmp_path):
    """Keras's layer draws from a state that it moves on."""
    weights = []
    for board in [], [TensorBoard(tmp_path, image_freq=1)]:
        keras.utils.set_random_seed(3)
        model, noise = classifier(), keras.layers.GaussianNoise(0.5, seed=4)
        tfnn.fit(model, IMAGES, LABELS, 8, 3, 0, board, augment=noise, seed=1, jit_compile=False)
        weights.append(model.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*weights))


def test_only_images_are_shown_and_others_are_stretched():
    x = {"image": tf.constant(4 * IMAGES - 2), "row": tf.ones([20, 5]), "many": tf.ones([20, 4, 4, 7])}
    shown = pictures.of_inputs(x, limit=6)
    assert shown.keys() == {"image"} and shown["image"].shape == (6, 4, 4, 1)
    assert shown["image"].min() == 0 and shown["image"].max() == 255
    assert (pictures.pixels(np.full((1, 2, 2, 1), 0.5)) == 128).all()  # in [0, 1] already


@pytest.mark.parametrize("source", SOURCES)
def test_the_confusion_matrix_counts_the_validation_data(source, tmp_path, monkeypatch):
    matrices, draw = [], pictures.confusion
    monkeypatch.setattr(pictures, "confusion", lambda matrix, names: (matrices.append((matrix, names)), draw(matrix, names))[1])
    model, names = classifier(), ["a", "b", "c"]
    held = SOURCES["tf.data"]()[0] if source == "tf.data" else (IMAGES, LABELS)
    board = TensorBoard(tmp_path, confusion_freq=1, class_names=names)
    tfnn.fit(model, *SOURCES[source](), epochs=2, verbose=0, callbacks=[board], validation_data=held)
    predicted, expected = model.predict(IMAGES, verbose=0).argmax(-1), np.zeros((3, 3), int)
    np.add.at(expected, (LABELS, predicted), 1)
    np.testing.assert_array_equal(matrices[-1][0], expected)
    assert matrices[-1][1] == names and len(matrices) == 2
    (first, image), (second, _) = map(decoded, tensors(tmp_path / "validation")["confusion"])
    assert (first, second) == (3, 6) and image[0].shape[-1] == 3 and image[0].std() > 0


def test_counts_take_labels_and_outputs_of_every_form():
    outputs = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    expected = [[1, 1], [0, 1]]
    for labels in [1, 0, 0], [[1], [0], [0]], [[0, 1], [1, 0], [1, 0]]:
        np.testing.assert_array_equal(pictures.counts(labels, outputs), expected)
        np.testing.assert_array_equal(pictures.counts(labels, np.log(outputs)), expected)
    np.testing.assert_array_equal(pictures.counts([1, 0, 0], outputs[:, 1:]), expected)


def test_the_matrix_has_a_row_for_each_true_class():
    """The cell of row 0 and column 1 is the dark one."""
    image = pictures.confusion(np.array([[0, 9], [0, 0]]), ["a", "b"])[0].astype(int)
    cell = lambda row, column: image[
        -pictures.MARGIN - pictures.CELL * (2 - row) + 3, -pictures.MARGIN - pictures.CELL * (2 - column) + 3
    ]
    assert cell(0, 1).sum() < 200 < cell(1, 0).sum()


def test_the_matrix_of_ten_classes_is_shown_unsqueezed():
    """TensorBoard gives a picture 320 pixels."""
    assert max(pictures.confusion(np.eye(10, dtype=int), list("0123456789")).shape[1:3]) <= 320


@pytest.mark.parametrize(
    "shape, expected",
    [((5,), (1, 5, 1, 1)), ((3, 7), (1, 3, 7, 1)), ((7, 3), (1, 3, 7, 1)), ((3, 3, 1, 4), (4, 3, 3, 1)), ((3, 3, 2, 5), None)],
)
def test_weights_are_laid_out_as_by_keras(shape, expected):
    image = pictures.of_weight(np.zeros(shape))
    assert (image.shape if image is not None else None) == expected
