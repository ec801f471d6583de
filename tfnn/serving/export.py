"""`tfnn.export`: a SavedModel that takes raw inputs and gives named answers. It is checked before it appears.

Keras's `model.export` traces the model without `training`, which leaves random image layers switched on, and stores the
weights twice. Here the network is one graph, `model(x, training=False)`, frozen once and called by every signature.
"""

import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfnn.serving import formats, gates, manifest, origin, publish, tensorflow_serving
from tfnn.serving.pipeline import Pipeline

LABELS = "assets/labels.txt"
NOT_RECORDED = "model", "directory", "labels", "warmup", "metrics"


def export(
    model: keras.Model,
    directory: str | os.PathLike,
    *,
    labels: Sequence[str] | None = None,
    preprocess: Callable | None = None,
    prepare: Callable | None = None,
    from_logits: bool = False,
    size: Sequence[int] | None = None,
    top_k: int = 5,
    signatures: Sequence[str] | None = None,
    embedding: str | bool | None = None,
    fold_batchnorm: bool = True,
    freeze: bool = True,
    warmup: Any = None,
    metrics: dict[str, Any] | None = None,
    version: int | None = None,
    format: str = formats.SAVED_MODEL,
) -> pathlib.Path:
    """Writes `directory/VERSION/`, which appears whole and checked, or not at all.

    A model with one input (height, width, 1 or 3) gets these signatures, each for any number of images:
    - `serving_default` takes `image`, uint8 (B, H, W, C), 0 to 255, of any size, C 1 to 4 (grey, RGB, either with alpha);
    - `image_bytes` takes `image_bytes`, string (B,): encoded PNG, JPEG, GIF, BMP or WebP;
    - `raw` takes `image`, float32 (B, height, width, C), already preprocessed.
    Other models get `serving_default` and `raw`, which take the model's inputs by name.

    A model with one output (B, classes) answers with `classes` (B, top_k), names from the most to the least probable;
    `scores` (B, top_k), their probabilities; and `probabilities` (B, classes), in the order of `labels`. `raw` gives
    `probabilities` alone. Other models give their outputs by name. Half-precision outputs become float32. Signatures of
    images add `ok` (B,): where it is false, the image could not be read, numbers are 0 and names empty.

    Before the version appears, a fresh process without Keras must reproduce the training pipeline's answers to 1e-5.

    Args:
        model: a Keras model with known shapes.
        directory: the model's folder; its children are versions, as model servers expect.
        labels: the name of each class, in order. None numbers them; () says that the outputs are not scores of classes.
        preprocess: a function made of TensorFlow operations, from float32 images (B, height, width, C), 0 to 255, at the
            model's size, to what the model was trained on; for other models, from their inputs. None changes nothing.
        prepare: a function of one float32 image (H, W, C), 0 to 255, that runs before the image is resized, such as
            `Dataset.prepare`. None changes nothing.
        from_logits: whether the model's output still needs a softmax, or, for a single output unit, a sigmoid.
        size: (height, width) for a model that takes images of any size.
        top_k: how many classes are named, at most all.
        signatures: the names of the signatures to write. None writes all.
        embedding: adds the signature `embedding`. The name of a layer gives that layer's output; True gives the input of
            the last layer with weights.
        fold_batchnorm: whether to fold each BatchNorm into the layer before it, if it can be.
        freeze: whether weights become constants of the graph, at most 2 GB. Servers with oneDNN then run faster (1.4 times,
            MobileNetV2 and ResNet50 at batch 1; 1.0 without oneDNN), but hold the weights some twenty times in memory:
            2.6 GB in all for ResNet50, against 0.85 GB with variables. Pass False for large networks.
        warmup: inputs that check the bundle and that servers warm up with: uint8 images, an array, or {name: array}.
            None draws some; False checks with drawn ones, but writes no warm-up requests.
        metrics: a dict of measurements of the model, for `bundle.json`.
        version: a positive int. None takes the next number.
        format: "tf_saved_model"; or "onnx" (`model.onnx`), "litert" (`model.tflite`) or "openvino" (`model.xml`,
            `model.bin`), which hold the signature `raw` alone, are checked in their own runtime, and need the extra of
            tfnn with that name.

    Returns:
        The path of the version.

    Raises:
        ValueError: if arguments do not fit the model, or the bundle fails its checks.
        FileExistsError: if the version exists.
        OSError: if it cannot be written.

    Example:
        >>> path = tfnn.export(model, "models/digits", labels="0123456789", preprocess=lambda pixels: pixels / 255)
        >>> name, probability = tfnn.serving.Bundle(path).classify(open("seven.png", "rb").read())[0]
    """
    arguments = {name: origin.words(value) for name, value in locals().items() if name not in NOT_RECORDED}
    directory = pathlib.Path(directory)
    name = directory.absolute().name
    publish.check_version(directory, version)
    formats.check(format, directory, signatures, embedding, freeze)
    converts = format != formats.SAVED_MODEL
    names = ["raw"] if converts else signatures
    pipeline = Pipeline(model, labels, preprocess, prepare, from_logits, size, top_k, names, embedding)
    cases = pipeline.cases(warmup)
    with tempfile.TemporaryDirectory() as work, gates.fresh_process(format) as process, publish.draft(directory) as folder:
        traced = pipeline.traced(fold_batchnorm, freeze)
        saved = pathlib.Path(work, "saved") if converts else folder
        try:
            save(traced, pipeline.labels, saved, work)
            if warmup is not False and not converts:
                tensorflow_serving.write_warm_up(folder, name, [case for case in cases if case.rows == 1])
        except tf.errors.OpError as error:  # such as a full disk
            raise OSError(f"{directory}: cannot be written: {error.message.splitlines()[0]}") from None
        gates.check_operations(saved)
        stored = gates.check_size(saved, traced.bytes)
        if converts:
            formats.convert(format, traced.served["raw"], saved, folder)
            if pipeline.labels:
                shutil.copytree(saved / "assets", folder / "assets")
        gates.check_answers(process, folder, cases, pipeline, traced.folded, work)
        content = {
            "name": name,
            "made": origin.now(),
            "signatures": manifest.describe(traced.served, images=pipeline.shape is not None),
            "labels": LABELS if pipeline.labels else None,
            "parameters": {"count": model.count_params(), "stored_bytes": stored},
            "folded_batchnorms": traced.folded,
            "metrics": origin.plain(metrics or {}),
            "format_of_model": format,
            "versions": origin.versions() | formats.versions(format),
            "git_commit": origin.commit(),
            "arguments": arguments,
        }
        manifest.write(folder, content)
        beside = {} if converts else tensorflow_serving.configuration(name)
        return publish.publish(folder, directory, version, beside)


def save(traced, labels, folder, work):
    """Writes a SavedModel of the signatures and the state they read, with the labels as an asset."""
    module = tf.Module()
    module.served, module.state = traced.served, traced.state
    if labels:
        file = pathlib.Path(work, pathlib.Path(LABELS).name)
        file.write_text("\n".join(labels) + "\n", encoding="utf-8")
        module.labels = tf.saved_model.Asset(str(file))
    # A frozen graph cannot save custom gradients, such as SiLU's, and a server needs none.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(folder), signatures=traced.served, options=options)
