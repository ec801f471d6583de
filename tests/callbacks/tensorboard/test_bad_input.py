"""What is refused, in one line."""

import keras
import numpy as np
import pytest

import tfnn
from tests.callbacks.tensorboard.runs import X, Y, linear
from tfnn.callbacks import TensorBoard

ARGUMENTS = [
    ({"log_dir": ""}, "log_dir='' must be a path"),
    ({"log_dir": None}, "log_dir=None must be a path"),
    ({"histogram_freq": -1}, "histogram_freq=-1 must be an integer of at least 0"),
    ({"histogram_freq": 0.5}, "histogram_freq=0.5 must be an integer"),
    ({"confusion_freq": True}, "confusion_freq=True must be an integer"),
    ({"image_freq": "1"}, "image_freq='1' must be an integer"),
    ({"update_freq": 0}, "update_freq=0 must be 'epoch', 'batch' or a positive number of updates"),
    ({"update_freq": "step"}, "update_freq='step' must be 'epoch'"),
    ({"profile_batch": -1}, "profile_batch=-1 must be 0, a batch, or (first, last), which count from 1"),
    ({"profile_batch": (3, 2)}, "profile_batch=(3, 2) must be 0"),
    ({"profile_batch": "a,b"}, "profile_batch='a,b' must be 0"),
    ({"profile_batch": (1, 2, 3)}, "profile_batch=(1, 2, 3) must be 0"),
    ({"hparams": {"layers": [1, 2]}}, "hparams={'layers': [1, 2]} must be a dict of names and numbers, strings or booleans"),
    ({"hparams": {3: 1.0}}, "hparams={3: 1.0} must be"),
    ({"hparams": [0.1]}, "hparams=[0.1] must be a dict"),
    ({"class_names": 3}, "class_names=3 must be a list of names"),
    ({"class_names": "ab"}, "class_names='ab' must be a list of names"),
    ({"embeddings_metadata": 5}, "embeddings_metadata=5 must be a file or a dict"),
]


@pytest.mark.parametrize("arguments, message", ARGUMENTS, ids=[message for _, message in ARGUMENTS])
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError) as error:
        TensorBoard(**arguments)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "given, window", [(0, None), (5, (4, 5)), ((2, 4), (1, 4)), ("2,4", (1, 4)), ("3", (2, 3)), ([1, 1], (0, 1))]
)
def test_a_profile_is_asked_for_as_in_keras(given, window):
    assert TensorBoard(profile_batch=given).profile_window == window


@pytest.mark.parametrize("source", ["none", "generator"])
def test_a_confusion_matrix_needs_validation_data(source, tmp_path):
    more = {"validation_data": ((X, Y) for _ in range(9)), "validation_steps": 1} if source == "generator" else {}
    with pytest.raises(ValueError, match="confusion_freq=1 needs validation data that can be read again, got none"):
        tfnn.fit(linear(), X, Y, 8, 1, 0, [TensorBoard(tmp_path, confusion_freq=1)], **more)


def test_class_names_must_be_as_many_as_classes(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    board, y = TensorBoard(tmp_path, confusion_freq=1, class_names=["a", "b"]), np.arange(len(X)) % 4
    with pytest.raises(ValueError, match="class_names has 2 names and the model 4 classes"):
        tfnn.fit(model, X, y, 8, 1, 0, [board], validation_data=(X, y))


def test_metadata_must_be_of_embeddings_that_are_there(tmp_path):
    board = TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata={"words": "words.tsv"})
    with pytest.raises(ValueError, match="embeddings_metadata names 'words', which is no Embedding of the model: none"):
        tfnn.fit(linear(), X, Y, 8, 1, 0, [board])


def test_embeddings_are_written_for_the_projector(tmp_path):
    model = keras.Sequential([keras.layers.Embedding(5, 2, name="words"), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    board = TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata={"words": "names.tsv"})
    tfnn.fit(model, np.arange(20).reshape(-1, 1) % 5, Y[:20], 4, 1, 0, [board])
    config = (tmp_path / "projector_config.pbtxt").read_text()
    assert 'tensor_path: "embedding-words.tsv"' in config and 'metadata_path: "names.tsv"' in config
    np.testing.assert_allclose(np.loadtxt(tmp_path / "embedding-words.tsv"), model.layers[0].embeddings.numpy(), rtol=1e-6)
