"""The signatures of a bundle: named functions around one network."""

from typing import NamedTuple

import tensorflow as tf

from tfnn.serving import pictures

IMAGES = tf.TensorSpec([None, None, None, None], tf.uint8, "image")
ENCODED = tf.TensorSpec([None], tf.string, "image_bytes")


class Answer(NamedTuple):
    """How a network's outputs become named answers.

    Attributes:
        outputs: the names of the model's outputs.
        labels: the names of the classes, or None if the outputs are not scores of classes.
        top_k: how many class names to give.
        from_logits: whether the scores still need a softmax, or, for a single output unit, a sigmoid.
    """

    outputs: list
    labels: list | None
    top_k: int
    from_logits: bool

    def plain(self, tensors):
        """The answers that are numbers, without class names, which converters cannot handle."""
        if self.labels is None:
            return dict(zip(self.outputs, tensors))
        return {"probabilities": probabilities(tensors[0], self.from_logits)}

    def __call__(self, tensors):
        answers = self.plain(tensors)
        if self.labels is None:
            return answers
        scores, order = tf.math.top_k(answers["probabilities"], self.top_k)
        return {"classes": tf.gather(tf.constant(self.labels), order), "scores": scores} | answers


def probabilities(scores, from_logits):
    """Turns scores (B, classes), or (B, 1) for the second of two classes, into float32 (B, classes) that sum to 1."""
    scores = tf.cast(scores, tf.float32)
    if scores.shape[-1] == 1:
        second = tf.sigmoid(scores) if from_logits else scores
        return tf.concat([1 - second, second], -1)
    return tf.nn.softmax(scores) if from_logits else scores


def of_images(network, preprocess, dtype, shape, prepare, answer):
    """The signatures that take images.

    Args:
        network: a function from images (B, *shape) of `dtype` to a list: the model's outputs, then the embedding if any.
        preprocess: a function from float32 images (B, *shape), 0 to 255, to a list of the network's inputs.
    """

    def outputs_of(images):
        return network(*preprocess(images))

    @tf.function(input_signature=[IMAGES], autograph=False)
    def serving_default(image):
        answers = answer(outputs_of(pictures.fit_sizes(image, shape, prepare)))
        return answers | {"ok": tf.ones(tf.shape(image)[:1], tf.bool)}

    @tf.function(input_signature=[ENCODED], autograph=False)
    def image_bytes(image_bytes):
        images, ok = pictures.decode_each(image_bytes, shape, prepare)
        return pictures.blank_where_not(ok, answer(outputs_of(images))) | {"ok": ok}

    @tf.function(input_signature=[tf.TensorSpec([None, *shape], tf.float32, "image")], autograph=False)
    def raw(image):
        return answer.plain(network(cast(image, dtype)))

    @tf.function(input_signature=[IMAGES], autograph=False)
    def embedding(image):
        return {"embedding": outputs_of(pictures.fit_sizes(image, shape, prepare))[-1]}

    return {"serving_default": serving_default, "image_bytes": image_bytes, "raw": raw, "embedding": embedding}


def of_tensors(network, preprocess, specs, answer):
    """The signatures that take tensors, named like the model's inputs; those of `raw` are already preprocessed."""

    @tf.function(input_signature=specs, autograph=False)
    def serving_default(*tensors):
        return answer(network(*preprocess(*tensors)))

    @tf.function(input_signature=specs, autograph=False)
    def raw(*tensors):
        return answer.plain(network(*tensors))

    @tf.function(input_signature=specs, autograph=False)
    def embedding(*tensors):
        return {"embedding": network(*preprocess(*tensors))[-1]}

    return {"serving_default": serving_default, "raw": raw, "embedding": embedding}


def cast(tensor, dtype):
    """Converts to the network's dtype; floats are rounded for a network that takes integers."""
    tensor = tf.convert_to_tensor(tensor)
    if tensor.dtype == dtype:
        return tensor
    return tf.cast(tensor if dtype.is_floating or not tensor.dtype.is_floating else tf.round(tensor), dtype)
