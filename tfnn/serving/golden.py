"""Test cases for a bundle: inputs, with the answers of the original Keras model, run layer by layer."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfnn.serving import network, pictures

ROWS = 32
BATCHES = 1, 3, ROWS
UNKNOWN = 32  # size of dimensions that the model leaves open
DAMAGED = b"no image"


class Case(NamedTuple):
    """Inputs of a signature and the outputs it must give."""

    signature: str
    inputs: dict
    outputs: dict

    @property
    def rows(self):
        return len(next(iter(self.inputs.values())))


def images(shape, seed=0):
    """Draws uint8 images (32, H, W, C), deliberately not of the model's size: blots of few colours under noise."""
    height, width, channels = shape
    random = np.random.RandomState(seed)
    height, width = height + height // 4 + 1, width + 1
    blots = tf.image.resize(random.uniform(0, 255, (ROWS, 4, 4, channels)), (height, width)).numpy()
    noisy = blots + random.normal(0, 20, blots.shape)
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)


def tensors(specs, seed=0):
    """Draws {name: array}, 32 rows that every model can take: normal floats, integers 0 and 1, strings "a" and "b"."""
    random = np.random.RandomState(seed)

    def draw(spec):
        shape = [ROWS, *(UNKNOWN if size is None else size for size in spec.shape[1:])]
        if spec.dtype == tf.string:
            return random.choice([b"a", b"b"], shape).astype(object)
        if spec.dtype.is_floating:
            return random.normal(size=shape).astype(spec.dtype.as_numpy_dtype)
        return random.randint(0, 2, shape).astype(spec.dtype.as_numpy_dtype)

    return {spec.name: draw(spec) for spec in specs}


def given(examples, specs):
    """Turns a user's examples into {name: array} of 32 rows, repeating them in turn.

    Args:
        examples: {name: array}, or an array for a single input.
        specs: the `tf.TensorSpec`s of the inputs.
    """
    if not isinstance(examples, dict) and len(specs) == 1:
        examples = {specs[0].name: examples}
    names = [spec.name for spec in specs]
    if not isinstance(examples, dict) or sorted(examples) != sorted(names):
        raise ValueError(f"warmup must be None, False, or inputs by name: {', '.join(names)}")
    arrays = {spec.name: np.asarray(examples[spec.name], spec.dtype.as_numpy_dtype) for spec in specs}
    for spec in specs:
        shape = arrays[spec.name].shape
        if not spec.shape.is_compatible_with(shape) or not len(arrays[spec.name]):
            raise ValueError(f"warmup: {spec.name} has shape {shape}, wanted {tuple(spec.shape)}")
    return {name: array[np.arange(ROWS) % len(array)] for name, array in arrays.items()}


def outputs_of(model, structure, inputs):
    """The flat outputs of a Keras model for flat inputs. It runs layer by layer on the CPU, which does not round to TF32."""
    with tf.device("CPU"):
        outputs = keras.tree.flatten(model(keras.tree.pack_sequence_as(structure, inputs), training=False))
        return [tf.cast(output, network.full(output.dtype)) for output in outputs]


def arrays(tensors):
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def image_cases(given, raw, answers, plain, embedding):
    """Cases for every signature of images and each batch size; in a batch of encoded images, one is damaged.

    Args:
        given: {"image": uint8 images}.
        raw: {name: the model's one input}, preprocessed.
        answers, plain: {name: array} of the answers with class names, and of the numbers alone, for all rows.
        embedding: an array, or None.
    """
    (pixels,), (raw,) = given.values(), raw.values()
    encoded = np.array([tf.io.encode_png(image).numpy() for image in pixels], object)
    for rows in BATCHES:
        ok = np.ones(rows, bool)
        wanted = first(rows, answers)
        yield Case("serving_default", {"image": pixels[:rows]}, wanted | {"ok": ok})
        yield Case("raw", {"image": raw[:rows].astype(np.float32)}, first(rows, plain))
        if embedding is not None:
            yield Case("embedding", {"image": pixels[:rows]}, {"embedding": embedding[:rows]})
        sent = encoded[:rows].copy()
        if rows > 1:
            sent[1], ok = DAMAGED, np.arange(rows) != 1
        wanted = arrays(pictures.blank_where_not(tf.constant(ok), wanted))
        yield Case("image_bytes", {"image_bytes": sent}, wanted | {"ok": ok})


def tensor_cases(given, raw, answers, plain, embedding):
    """Like `image_cases`, for tensors by name."""
    for rows in BATCHES:
        yield Case("serving_default", first(rows, given), first(rows, answers))
        yield Case("raw", first(rows, raw), first(rows, plain))
        if embedding is not None:
            yield Case("embedding", first(rows, given), {"embedding": embedding[:rows]})


def first(rows, arrays):
    return {name: array[:rows] for name, array in arrays.items()}
