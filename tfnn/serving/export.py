"""`tfnn.export`: a SavedModel that takes raw inputs and answers by name, checked before it appears.

Keras's `model.export` traces a model without `training`, so that random layers for images stay switched on, and stores
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

    Signatures of a model of one input (height, width, 1 or 3), each for any number of images:
    - `serving_default`: `image`, uint8 (B, H, W, C) of 0 to 255, any size, C of 1 to 4 (grey, RGB, either with alpha);
    - `image_bytes`: `image_bytes`, string (B,), encoded PNG, JPEG, GIF, BMP or WebP;
    - `raw`: `image`, float32 (B, height, width, C), preprocessed.
    Other models have `serving_default` and `raw`, with their inputs by name. A model of one output (B, classes) gives
    `classes` (B, top_k), names from the most to the least probable; `scores` (B, top_k), their probabilities;
    `probabilities` (B, classes) in the order of `labels`; `raw` the last alone. Other models give their outputs by name,
    all of them float32 where they are half precision. With images comes `ok` (B,): where it is false the image could not be
    read, numbers are 0 and names empty.

    A fresh process without Keras must give the training pipeline's answers, to 1e-5, before the version appears.

    Args:
        model: a Keras model with known shapes.
        directory: the model's folder; its children are versions, as model servers expect.
        labels: the name of each class, in order. None numbers them; () is for outputs that are no scores of classes.
        preprocess: a function of float32 images (B, height, width, C) of 0 to 255 at the model's size to what the model
            was trained on, of TensorFlow operations; for other models of their inputs. None leaves them.
        prepare: a function of one float32 image (H, W, C) of 0 to 255, run before it is resized, such as
            `Dataset.prepare`. None leaves it.
        from_logits: whether the model's output still needs a softmax, or for one output unit a sigmoid.
        size: (height, width) for a model that takes images of any size.
        top_k: how many classes are named, at most all.
        signatures: names of those to write. None writes all.
        embedding: adds a signature of that name, which gives the output of the layer of this name; True the input of the
            last layer with weights.
        fold_batchnorm: whether the layer before a BatchNorm does its work, where it can.
        freeze: whether weights become constants of the graph, at most 2 GB, which servers with oneDNN run faster (1.4 times,
            MobileNetV2 and ResNet50 at batch 1; 1.0 without) and hold some twenty times in memory: 2.6 GB in all for
            ResNet50, against 0.85 GB of variables. For large networks pass False.
        warmup: inputs to check the bundle with, which servers also warm up with: uint8 images, an array, or {name: array}.
            None draws some; False leaves the warm-up out.
        metrics: what was measured of the model, for `bundle.json`: a dict.
        version: a positive int. None takes the next number.
        format: "tf_saved_model", or the signature `raw` alone as "onnx" (`model.onnx`), "litert" (`model.tflite`) or
            "openvino" (`model.xml`, `model.bin`), whose own runtime must give the answers; each is an extra of tfnn.

    Returns:
        The path of the version.

    Raises:
        ValueError: for arguments that do not fit the model, and for a bundle that did not pass its checks.
        FileExistsError: where the version is there already.
        OSError: where it cannot be written.

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
        except tf.errors.OpError as error:  # of a full disk, among others
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
    """The SavedModel of signatures and what they read, with the labels as an asset."""
    module = tf.Module()
    module.served, module.state = traced.served, traced.state
    if labels:
        file = pathlib.Path(work, pathlib.Path(LABELS).name)
        file.write_text("\n".join(labels) + "\n", encoding="utf-8")
        module.labels = tf.saved_model.Asset(str(file))
    # Gradients of its own, as SiLU has, cannot be saved of a frozen graph, and nothing that answers asks for them.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(folder), signatures=traced.served, options=options)
