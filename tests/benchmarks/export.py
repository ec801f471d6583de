"""MobileNetV2 224×224, batch 1: the bundle's signature `raw` against what else answers the same preprocessed image.

That is Keras's own `model.export`, `model.predict`, and, where they are installed, the same network in other runtimes, which
`tfnn.export(format=...)` writes.
"""

import importlib.util
import pathlib
import tempfile

import keras
import numpy as np
import tensorflow as tf

import tfnn
from tests.benchmarks.timing import compare
from tfnn.serving import verifier

CALLS = 10
SCALE = 1e3 / CALLS  # seconds of all calls to ms of one
OTHERS = {
    "ONNX Runtime": ("onnx", ("tf2onnx", "onnxruntime")),
    "LiteRT": ("litert", ("ai_edge_litert",)),
    "OpenVINO, float32": ("openvino", ("openvino",)),
}


def rows():
    model = mobilenet()
    image = np.random.default_rng(0).uniform(-1, 1, (1, 224, 224, 3)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        export = lambda format: tfnn.export(model, folder / format, preprocess=lambda x: x / 127.5 - 1, format=format)
        ours = answering("tf_saved_model", export("tf_saved_model"), image)
        yield from compare(
            "bundle (asked 8)", ours, {"model.predict": times(model.predict, image, verbose=0)}, "ms/image", SCALE
        )
        model.export(folder / "keras", verbose=False)
        keras_export = tf.saved_model.load(folder / "keras")
        plain = times(lambda: keras_export.serve(tf.constant(image)).numpy())
        yield from compare("bundle (asked 1.7)", ours, {"model.export": plain}, "ms/image", SCALE, rounds=15)
        for name, (format, packages) in OTHERS.items():
            if all(map(importlib.util.find_spec, packages)):
                peer = answering(format, export(format), image)
                yield from compare("bundle", ours, {name: peer}, "ms/image", SCALE)


def mobilenet():
    """With moments and shifts as a trained network has them: TensorFlow removes zero biases, and then fuses less."""
    keras.utils.set_random_seed(0)
    model, draws = keras.applications.MobileNetV2(weights=None), np.random.default_rng(1)
    for weight in model.weights:
        if weight.path.endswith(("beta", "moving_mean")):
            weight.assign(draws.normal(0, 0.1, weight.shape))
        elif weight.path.endswith(("gamma", "moving_variance")):
            weight.assign(draws.uniform(0.5, 1.5, weight.shape))
    return model


def answering(format, path, image):
    answer = verifier.FORMATS[format](str(path))
    return times(answer, "raw", {"image": image})


def times(function, *arguments, **options):
    def run():
        for _ in range(CALLS):
            function(*arguments, **options)

    return run
