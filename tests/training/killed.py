"""A run to be killed: `python -m tests.training.killed KIND DIRECTORY OUT` trains, resuming where it can, and writes OUT.

OUT holds all that the run ended with: weights, optimizer, history, epoch by epoch. A mark is printed before training begins.
"""

import sys

import keras
import numpy as np
import tensorflow as tf

import tfnn
from tests.transfer import bodies

EPOCHS, BATCH, SAVE_FREQ = 20, 16, 3
KINDS = "arrays", "xla", "grown", "tf.data", "PyDataset", "generator", "transfer"


class Digits(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return -(-len(self.x) // BATCH)

    def __getitem__(self, index):
        rows = slice(index * BATCH, (index + 1) * BATCH)
        return self.x[rows], self.y[rows]


def batches(x, y):
    while True:
        for start in range(0, len(x), BATCH):
            yield x[start : start + BATCH], y[start : start + BATCH]


def network():
    """All that has a state of its own: statistics, seeds, an average, a clipped optimizer with two slots."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, use_bias=False),
            tfnn.layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.3),
            layers.Flatten(),
            tfnn.layers.Dropout(0.3),
            layers.Dense(10, "softmax"),
        ]
    )
    optimizer = tfnn.optimizers.Adam(0.01, global_clipnorm=1.0, use_ema=True, ema_momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def run(kind, directory, out):
    keras.utils.set_random_seed(3)
    part = tfnn.data.load("digits").train
    x, y = part.x[:400].astype(np.float32) / 16, part.y[:400]
    held = part.x[400:600].astype(np.float32) / 16, part.y[400:600]
    arguments = {
        "arrays": dict(x=x, y=y, batch_size=BATCH, augment=tfnn.layers.RandomTranslation(0.1, 0.1, seed=2)),
        "xla": dict(x=x, y=y, batch_size=BATCH, jit_compile=True),
        "grown": dict(x=x, y=y, batch_size=BATCH),
        "tf.data": dict(x=tf.data.Dataset.from_tensor_slices((x, y)).shuffle(400, seed=5).batch(BATCH)),
        "PyDataset": dict(x=Digits(x, y)),
        "generator": dict(x=batches(x, y), steps_per_epoch=25),
        "transfer": dict(x=x, y=y, batch_size=BATCH, cache=tfnn.transfer.FeatureCache()),
    }[kind]
    callbacks = [
        keras.callbacks.EarlyStopping(patience=20, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau(patience=1, factor=0.7),
        tfnn.callbacks.Checkpoint(directory, SAVE_FREQ),
    ]
    if kind == "grown":
        callbacks.append(tfnn.callbacks.BatchSizeScheduler({6: 32, 12: 48}))
    model = network()
    if kind == "transfer":
        model = bodies.classifier(tfnn.optimizers.Adam(0.01))
        callbacks.append(tfnn.transfer.Unfreeze({0: 0, 6: 1, 12: "all"}))
    print("begins", flush=True)
    history = tfnn.fit(
        model, **arguments, epochs=EPOCHS, validation_data=held, callbacks=callbacks, verbose=0, seed=1, resume=directory
    )
    weights = {f"weight {i}": w for i, w in enumerate(model.get_weights())}
    state = {f"optimizer {i}": v.numpy() for i, v in enumerate(model.optimizer.variables)}
    told = {f"history {name}": np.array(values) for name, values in history.history.items()}
    numbers = {"updates": history.updates, "batch_sizes": np.array([b or 0 for b in history.batch_sizes])}
    np.savez(out, **weights, **state, **told, **numbers)


if __name__ == "__main__":
    run(*sys.argv[1:])
