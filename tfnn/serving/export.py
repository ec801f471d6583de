"""`tfnn.export`: a SavedModel that takes raw images and answers with names and probabilities.

Keras's `model.export` traces a model without `training`, so that random layers for images stay switched on, and stores
weights twice. Here every signature is a closure over `model(x, training=False)` of one `tf.Module`.
"""

import contextlib
import errno
import os
import pathlib
import shutil
import tempfile

import tensorflow as tf

from tfnn.data import pixels
from tfnn.serving.checks import check_outputs, check_random_operations


def export(model, directory, *, labels=None, preprocess=None, prepare=None, from_logits=False, version=None):
    """Writes `directory/VERSION/`, which appears whole or not at all.

    Signatures, each for any number of images:
    - `serving_default`: `image`, uint8 (B, H, W, C) of 0 to 255, any size, C of 1 to 4 (grey, RGB, either with alpha);
    - `image_bytes`: `image_bytes`, string (B,), encoded PNG, JPEG, GIF or BMP.
    Both give `classes` (B, classes), names from the most to the least probable; `scores` (B, classes), their
    probabilities; and `probabilities` (B, classes) in the order of `labels`, which also lie in `assets/labels.txt`.

    Args:
        model: a Keras model of one image input (height, width, 1 or 3 channels) and one output (B, classes).
        directory: the model's folder; its children are versions, as model servers expect.
        labels: the name of each class, in order. None numbers them.
        preprocess: a function of float32 images (B, height, width, C) of 0 to 255 at the model's size to what the model
            was trained on, of TensorFlow operations. None leaves them.
        prepare: a function of one float32 image (H, W, C) of 0 to 255, run before it is resized, such as
            `Dataset.prepare`. None leaves it.
        from_logits: whether the model's output still needs a softmax.
        version: a positive int. None takes the next number.

    Returns:
        The path of the version.

    Raises:
        ValueError: for a model of another form, labels of another number, or outputs that are no probabilities.
        FileExistsError: where the version is there already.

    Example:
        >>> path = tfnn.export(model, "models/digits", labels="0123456789", preprocess=lambda pixels: pixels / 255)
        >>> name, probability = tfnn.serving.Bundle(path).classify(open("seven.png", "rb").read())[0]
    """
    directory = pathlib.Path(directory)
    height, width, channels = image_input(model)
    classes = model.output_shape[-1]
    labels = [str(label) for label in (range(classes) if labels is None else labels)]
    if version is not None and not (isinstance(version, int) and version >= 1):
        raise ValueError(f"version={version!r} must be a positive integer, or None for the next")
    if version is not None and (directory / str(version)).exists():
        raise FileExistsError(f"{directory / str(version)} exists: leave version out for the next number, or choose another")
    if any("\n" in label for label in labels):
        raise ValueError("a label must be one line, as labels.txt has one on each")
    if len(labels) != classes:
        raise ValueError(f"{len(labels)} labels for a model of {classes} classes")
    check_outputs(model, from_logits)
    with tempfile.TemporaryDirectory() as assets:
        module = classifier(model, (height, width), channels, labels, preprocess, prepare, from_logits, assets)
        check_random_operations(module.served)
        return publish(directory, version, lambda path: tf.saved_model.save(module, str(path), signatures=module.served))


def image_input(model):
    try:
        shapes = model.input_shape, model.output_shape
    except (AttributeError, ValueError):
        raise ValueError("export needs a model with known shapes: a functional or Sequential one, built") from None
    if not all(isinstance(shape, tuple) for shape in shapes):
        raise ValueError(f"export needs a model of one input and one output, got shapes {shapes[0]} and {shapes[1]}")
    (_, *image), (_, *classes) = shapes
    if len(image) != 3 or None in image or image[-1] not in (1, 3) or len(classes) != 1 or classes[0] < 2:
        raise ValueError(
            "export needs images (height, width, 1 or 3) and outputs (2 or more classes), got"
            f" {tuple(image)} and {tuple(classes)}"
        )
    return image


def classifier(model, size, channels, labels, preprocess, prepare, from_logits, assets):
    """The `tf.Module` of what is served: the model's variables once, labels, signatures."""
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]
    label_file = pathlib.Path(assets, "labels.txt")
    label_file.write_text("\n".join(labels) + "\n", encoding="utf-8")
    module.labels = tf.saved_model.Asset(str(label_file))
    names = tf.constant(labels)

    def answer(images):
        inputs = images if preprocess is None else preprocess(images)
        dtype = tf.as_dtype(model.inputs[0].dtype)
        inputs = tf.cast(inputs if dtype.is_floating else tf.round(inputs), dtype)
        outputs = tf.cast(model(inputs, training=False), tf.float32)
        probabilities = tf.nn.softmax(outputs) if from_logits else outputs
        scores, order = tf.math.top_k(probabilities, len(labels))
        return {"classes": tf.gather(names, order), "scores": scores, "probabilities": probabilities}

    def fit_size(image):
        image = pixels.with_channels(image, channels)
        return pixels.resize(image if prepare is None else prepare(image), size)

    model_image = tf.TensorSpec([*size, channels], tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, None], tf.uint8, "image")], autograph=False)
    def serving_default(image):
        if prepare is None:
            return answer(fit_size(image))
        return answer(tf.map_fn(fit_size, image, fn_output_signature=model_image))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")], autograph=False)
    def image_bytes(image_bytes):
        return answer(tf.map_fn(lambda one: fit_size(pixels.decode(one)), image_bytes, fn_output_signature=model_image))

    module.served = {"serving_default": serving_default, "image_bytes": image_bytes}
    # also what is no weight of the model, such as the rate of a dropout that scales at test
    module.read = [variable for served in module.served.values() for variable in served.get_concrete_function().variables]
    return module


def publish(directory, version, write):
    """Writes to a hidden sibling, syncs it to disk, renames it to the version's number: servers pass over the sibling."""
    made = [parent for parent in (directory, *directory.parents) if not parent.exists()]
    hidden = None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        hidden = pathlib.Path(tempfile.mkdtemp(prefix=".export-", dir=directory))
        hidden.chmod(0o755)
        write(hidden)
        for path in hidden.rglob("*"):
            sync(path)
        target = rename(hidden, directory, version)
        sync(directory)
        return target
    except BaseException:
        if hidden is not None:
            shutil.rmtree(hidden, ignore_errors=True)
        for parent in made:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise


def rename(hidden, directory, version):
    """Gives `hidden` its number; where another export took the next one meanwhile, the one after it."""
    while True:
        target = directory / str(version or next_version(directory))
        try:
            return hidden.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or version is not None:
                raise


def next_version(directory):
    return 1 + max((int(child.name) for child in directory.iterdir() if child.name.isdecimal()), default=0)


def sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
