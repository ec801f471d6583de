"""A backbone that trains in a blink, with all that freezing has to still: BatchNorm, dropout, two tensors between stages."""

import keras
import numpy as np

import tfnn

L = keras.layers


def body(seed=1):
    """8×8 digits to 12 features in three stages: C1 (two outputs), C2 (with dropout), C3."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, 1))
    x = L.Rescaling(1 / 16)(inputs)
    x = L.Conv2D(4, 3, 2, padding="same", use_bias=False)(x)
    x = shortcut = L.ReLU()(L.BatchNormalization()(x))
    x = L.Conv2D(4, 3, padding="same")(x)
    x = L.ReLU()(L.BatchNormalization(momentum=0.5)(L.Conv2D(8, 3, 2, padding="same")(x)))
    x = L.Add()([L.Dropout(0.3, seed=3)(x), L.Conv2D(8, 1, 2)(shortcut)])
    x = L.ReLU()(L.Conv2D(12, 3, 2, padding="same")(x))
    return keras.Model(inputs, L.GlobalAveragePooling2D()(x), name="body")


def classifier(optimizer=None, compile=True, **options):
    model = tfnn.transfer.classifier(body(), 10, **options)
    if compile:
        optimizer = optimizer or tfnn.optimizers.Adam(0.01)
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def images_and_labels(rows=100):
    part = tfnn.data.digits().train
    return part.x[:rows].astype(np.float32), part.y[:rows]


def values(variables):
    return [variable.numpy() for variable in variables]
