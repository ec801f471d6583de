"""Models that prepare data in a `fit` of their own, as KerasHub's tasks do: `tfnn.fit` does to the data what that does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.training.oracle import HELD, LAYERS, W, X, Y, assert_same_run, compiled, trained
from tfnn.training.source.arrays import Arrays
from tfnn.training.source.choice import source_of

NAMES = ["zero", "one", "two"]
TEXTS = [NAMES[label] for label in Y]
SLICES = tf.data.Dataset.from_tensor_slices


class Task(keras.Model):
    """Follows the contract of KerasHub's tasks; it takes texts, or numbers of another scale."""

    preprocessor = "standard"

    def preprocess_samples(self, x, y=None, sample_weight=None):
        if x.dtype == tf.string:
            x = tf.one_hot(tf.argmax(x[:, None] == tf.constant(NAMES), -1), 6)
        return keras.utils.pack_x_y_sample_weight(x / 3 - 1, y, sample_weight)

    def dataset(self, x, y=None, sample_weight=None, batch_size=None):
        if not isinstance(x, tf.data.Dataset):
            x = SLICES(keras.utils.pack_x_y_sample_weight(x, y, sample_weight)).batch(batch_size or 32)
        return x.map(self.preprocess_samples)

    def fit(self, x, y=None, batch_size=None, sample_weight=None, validation_data=None, **more):
        if validation_data is not None:
            validation_data = self.dataset(*validation_data, batch_size=batch_size)
        data = self.dataset(x, y, sample_weight, batch_size)
        return super().fit(data, validation_data=validation_data, **more)

    def evaluate(self, x, y=None, batch_size=None, sample_weight=None, **more):
        if not more.get("_use_cached_eval_dataset"):
            x, y = self.dataset(x, y, sample_weight, batch_size), None
        return super().evaluate(x, y, **more)

    def predict(self, x, batch_size=None, **more):
        return super().predict(self.dataset(x, batch_size=batch_size), **more)


def task(kind=Task):
    inputs = keras.Input((6,))
    return kind(inputs, LAYERS.Dense(3, "softmax")(LAYERS.Dense(8, "relu")(inputs)))


TASK = compiled(task, weighted_metrics=lambda: ["accuracy"])
BATCHES = {"x": X, "y": Y, "batch_size": 16}
CASES = {
    "arrays": lambda: {**BATCHES, "sample_weight": W, "validation_data": HELD},
    "class weights": lambda: {**BATCHES, "class_weight": {0: 3.0, 2: 0.5}},
    "texts": lambda: {"x": TEXTS, "y": Y.tolist(), "batch_size": 16, "validation_data": (TEXTS[::2], Y[::2])},
    "a dataset": lambda: {"x": SLICES((X, Y, W)).batch(16)},
}


def fit_of_its_own(model, **arguments):
    return model.fit(**arguments)


@pytest.mark.parametrize("case", CASES)
def test_it_trains_measures_and_predicts_as_by_its_own_methods(case):
    ours, theirs = trained(TASK, CASES[case], tfnn.fit), trained(TASK, CASES[case], fit_of_its_own)
    assert_same_run(ours, theirs)
    assert ours[1].traces == 1
    model, x = ours[0], TEXTS if case == "texts" else X
    np.testing.assert_allclose(tfnn.evaluate(model, x, Y, verbose=0), model.evaluate(x, Y, verbose=0), rtol=1e-5)
    np.testing.assert_allclose(tfnn.predict(model, x, verbose=0), model.predict(x, verbose=0), rtol=1e-5)


def test_data_are_shuffled_split_augmented_and_resumed_as_arrays_are(tmp_path):
    how = {**BATCHES, "validation_split": 0.25, "shuffle": True, "seed": 4}
    plain = trained(compiled(lambda: task(keras.Model)), {**how, "x": X / 3}, tfnn.fit)[0]
    how |= {"augment": lambda x: x + 1}
    whole = trained(TASK, how, tfnn.fit)[0]
    for ours, theirs in zip(whole.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    saved = {"callbacks": [tfnn.callbacks.Checkpoint(tmp_path, monitor="loss")], "resume": tmp_path}
    trained(TASK, {**how, **saved, "epochs": 1}, tfnn.fit)
    for ours, theirs in zip(trained(TASK, {**how, **saved}, tfnn.fit)[0].get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_batches_of_a_generator_are_prepared_too():
    batches = ((X[at : at + 16], Y[at : at + 16]) for _ in range(9) for at in range(0, 48, 16))
    ours = trained(TASK, {"x": batches, "steps_per_epoch": 3}, tfnn.fit)
    assert_same_run(ours, trained(TASK, {"x": X[:48], "y": Y[:48], "batch_size": 16}, fit_of_its_own))


def test_a_preprocessor_of_none_leaves_the_data_on_the_device():
    model = TASK()
    model.preprocessor = None
    assert isinstance(source_of(X, Y, model=model), Arrays)


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_a_method_of_its_own_that_does_not_tell_what_it_does_is_refused(method):
    own = type("Own", (keras.Model,), {method: lambda self, *data, **more: None})
    model = compiled(lambda: task(own))()
    called = {
        "fit": lambda: tfnn.fit(model, X, Y, verbose=0),
        "evaluate": lambda: tfnn.fit(model, X, Y, verbose=0, validation_data=HELD),
        "predict": lambda: tfnn.predict(model, X, verbose=0),
    }
    with pytest.raises(ValueError, match=f"has a {method} of its own, Own.{method}, .* preprocess_samples"):
        called[method]()


def test_a_fit_of_its_own_may_train_by_tfnn():
    class Own(keras.Model):
        def fit(self, *data, **more):
            return tfnn.fit(self, *data, **more)

    assert compiled(lambda: task(Own))().fit(X, Y, verbose=0).updates == 2


@pytest.mark.slow
def test_tasks_of_keras_hub_train_as_by_their_own_fit():
    hub = pytest.importorskip("keras_hub").models
    pytest.importorskip("tensorflow_text")
    words = ["cat", "dog", "runs", "sits"]

    def make():
        tokenizer = hub.BertTokenizer(vocabulary=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])
        sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16, "max_sequence_length": 6}
        backbone = hub.BertBackbone(vocabulary_size=tokenizer.vocabulary_size(), dropout=0.0, **sizes)
        preprocessor = hub.BertTextClassifierPreprocessor(tokenizer, sequence_length=6)
        return hub.BertTextClassifier(backbone=backbone, num_classes=3, preprocessor=preprocessor, dropout=0.0)

    model = compiled(make, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    draw = np.random.RandomState(1)
    texts = [" ".join(draw.choice(words, 3)) for _ in Y]
    arguments = {"x": texts, "y": Y, "batch_size": 16, "validation_data": (texts[:30], Y[:30])}
    assert_same_run(trained(model, arguments, tfnn.fit), trained(model, arguments, fit_of_its_own))
