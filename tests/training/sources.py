"""Data of every kind that `model.fit` reads, with the models that take it."""

import math

import keras
import numpy as np
import tensorflow as tf

import tfnn
from tests.training.oracle import LAYERS, W, X, Y, compiled

SLICES = tf.data.Dataset.from_tensor_slices
WEIGHTED = compiled(weighted_metrics=lambda: ["accuracy"])


def dataset(*arrays, size=16, **options):
    return SLICES(arrays or (X, Y)).batch(size, **options)


def unknown(*arrays):
    """A dataset that does not know how many batches it has."""
    return SLICES(arrays or (X, Y)).filter(lambda x, *_: x[0] > -0.5).batch(16)


class Batches(keras.utils.PyDataset):
    def __init__(self, *arrays, size=16, batches=None, **options):
        super().__init__(**options)
        self.arrays, self.size, self.batches = arrays or (X, Y), size, batches or math.ceil(len((arrays or (X,))[0]) / size)

    @property
    def num_batches(self):
        return self.batches

    def __getitem__(self, index):
        return tuple(a[index * self.size : (index + 1) * self.size] for a in self.arrays)


class Endless(Batches):
    """Batches without end, the first first."""

    @property
    def num_batches(self):
        return None

    def __getitem__(self, index):
        return super().__getitem__(index % self.batches)


class Reshuffled(Batches):
    """Puts its examples in another order after each epoch, as augmenting and balancing datasets do."""

    def __init__(self, turns=0):
        super().__init__(workers=1)
        self.turns = turns

    def on_epoch_end(self):
        self.turns += 1

    def __getitem__(self, index):
        order = np.random.RandomState(1 + self.turns).permutation(60)[index * 16 : index * 16 + 16]
        return tuple(a[order] for a in self.arrays)


class Begun(Batches):
    """Counts the epochs that began in its labels."""

    begun = 0

    def on_epoch_begin(self):
        self.begun += 1

    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        return x, (y + self.begun) % 3


def generator(*arrays, size=16):
    """Batches without end, in which a smaller one comes after every three; arrays may be nests that hold None."""
    arrays = arrays or (X, Y)
    examples = len(keras.tree.flatten(arrays)[0])
    while True:
        for start in range(0, examples, size):
            yield keras.tree.map_structure(lambda a: a if a is None else a[start : start + size], arrays)


LENGTHS = 1 + np.arange(60) * 7 % 11
WORDS = [np.random.RandomState(length).randint(1, 20, length) for length in LENGTHS]
KINDS = np.array([words.sum() % 3 for words in WORDS])


def embedded(*middle, mask_zero=True):
    def build():
        first = [keras.Input((None,), dtype="int32"), LAYERS.Embedding(20, 4, mask_zero=mask_zero)]
        return keras.Sequential([*first, *(make() for make in middle), LAYERS.Dense(3, "softmax")])

    return build


LSTM = compiled(embedded(lambda: LAYERS.LSTM(5)))
AVERAGED = compiled(embedded(LAYERS.GlobalAveragePooling1D))


def padded(size=16):
    form = tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.int32)
    return tf.data.Dataset.from_generator(lambda: zip(WORDS, KINDS), output_signature=form).padded_batch(size)


class Sentences(keras.utils.PyDataset):
    """Each batch as long as its longest example."""

    @property
    def num_batches(self):
        return 4

    def __getitem__(self, index):
        part = slice(index * 16, (index + 1) * 16)
        return keras.utils.pad_sequences(WORDS[part], padding="post"), KINDS[part]


def tagger():
    """A label for each word: the mask reaches loss and metrics."""
    return embedded(lambda: LAYERS.Dense(4, "relu"))()


TAGS = compiled(tagger, weighted_metrics=lambda: ["accuracy"])


def tagged():
    return padded().map(lambda words, _: (words, words % 3))


def convolved():
    """Images of sizes that differ from batch to batch."""
    layers = [LAYERS.Conv2D(3, 3, padding="same"), tfnn.layers.BatchNormalization(), LAYERS.GlobalAveragePooling2D()]
    return keras.Sequential([keras.Input((None, None, 1)), *layers, LAYERS.Dense(3, "softmax")])


def sized_images():
    for index in range(100):
        side = 3 + index % 3
        yield np.random.RandomState(index).normal(size=(8, side, side, 1)).astype(np.float32), np.arange(8) % 3


def ragged_mean():
    inputs = keras.Input((None, 1), ragged=True)
    x = LAYERS.Lambda(lambda x: tf.reduce_mean(x, 1), output_shape=(1,))(inputs)
    return keras.Model(inputs, LAYERS.Dense(3, "softmax")(x))


def ragged():
    return tf.cast(tf.RaggedTensor.from_row_lengths(np.concatenate(WORDS)[:, None] / 20, LENGTHS), tf.float32)


def named():
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    x = LAYERS.Dense(8, "relu")(a - b)
    return keras.Model([a, b], {"kind": LAYERS.Dense(3, "softmax", name="kind")(x), "size": LAYERS.Dense(1, name="size")(x)})


NAMED = compiled(
    named,
    loss={"kind": "sparse_categorical_crossentropy", "size": "mse"},
    loss_weights={"kind": 1.0, "size": 0.2},
    metrics={"size": ["mae"]},
)


def names(rows=slice(None)):
    return {"a": X[rows], "b": X[::-1][rows].copy()}, {"kind": Y[rows], "size": W[rows]}


def autoencoder():
    inputs = keras.Input((6,))
    return keras.Model(inputs, LAYERS.Dense(6)(LAYERS.Dense(2, "tanh")(inputs)))


class Distance(LAYERS.Layer):
    def call(self, x, image):
        self.add_loss(tf.reduce_mean(tf.square(x - image)))
        return image


def self_taught():
    inputs = keras.Input((6,))
    return keras.Model(inputs, Distance()(inputs, LAYERS.Dense(6)(LAYERS.Dense(2, "tanh")(inputs))))


SELF_TAUGHT = compiled(self_taught, loss=None, metrics=None)


NAMES = np.array(["one", "two", "three"], object)[Y]


def of_strings():
    lookup = LAYERS.StringLookup(vocabulary=["one", "two", "three"], output_mode="one_hot")
    return keras.Sequential([keras.Input((), dtype="string"), lookup, LAYERS.Dense(3, "softmax")])


def of_sparse():
    return keras.Sequential([keras.Input((6,), sparse=True), LAYERS.Dense(3, "softmax")])


class Matrix:
    """As scipy's sparse matrices give their numbers."""

    shape, (row, col) = X.shape, np.nonzero(X > 0)
    data = X[row, col].astype(np.float64)

    def tocoo(self):
        return self


class Series(np.ndarray):
    """As a column of pandas."""

    def to_frame(self):
        return np.asarray(self)[:, None]
