"""Flip, shift, rotate and zoom: `Augment` against Keras's four layers, and albumentations where it is installed.

Each runs as its users run it: layers in a `tf.function`, albumentations in a loop over images, with as many threads of OpenCV
as TensorFlow has.
"""

import importlib.util
import os

import keras
import numpy as np
import tensorflow as tf

import tfnn
from tests.benchmarks.timing import compare

SIZES = {"128 × 32×32": (128, 32), "32 × 224×224": (32, 224)}
CALLS = 10  # of one round


def four(module):
    parts = (
        module.RandomFlip("horizontal"),
        module.RandomTranslation(0.1, 0.1),
        module.RandomRotation(0.1),
        module.RandomZoom(0.1),
    )
    return list(parts)


def in_graph(layer, images):
    images = tf.constant(images)
    graph = tf.function(lambda x: layer(x, training=True), autograph=False)
    return lambda: [graph(images) for _ in range(CALLS)]


def in_albumentations(images, threads):
    import albumentations
    import cv2

    affine = albumentations.Affine(
        translate_percent=(-0.1, 0.1), rotate=(-36, 36), scale=(1 / 1.1, 1 / 0.9), border_mode=cv2.BORDER_REFLECT, p=1
    )
    act = albumentations.Compose([albumentations.HorizontalFlip(p=0.5), affine])

    def run():
        cv2.setNumThreads(threads)
        return [np.stack([act(image=image)["image"] for image in images]) for _ in range(CALLS)]

    return run


def rows():
    threads = tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count()
    random = np.random.default_rng(0)
    for what, (count, side) in SIZES.items():
        for dtype in "float32", "uint8":
            images = random.uniform(0, 255, (count, side, side, 3)).astype(dtype)
            rivals = {"four Keras layers": in_graph(keras.Sequential(four(keras.layers)), images)}
            if importlib.util.find_spec("albumentations"):
                rivals[f"albumentations, {threads} threads"] = in_albumentations(images, threads)
            ours = in_graph(tfnn.layers.Augment(four(tfnn.layers)), images)
            yield from compare(f"{what}, {dtype}", ours, rivals, "µs/image", 1e6 / CALLS / count)
