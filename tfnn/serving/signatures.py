"""What a bundle can be asked: named signatures around one network."""

from typing import NamedTuple

import tensorflow as tf

from tfnn.serving import pictures

IMAGES = tf.TensorSpec([None, None, None, None], tf.uint8, "image")
ENCODED = tf.TensorSpec([None], tf.string, "image_bytes")


class Answer(NamedTuple):
    """How a network's outputs become named answers.

    outputs: the names of the model's outputs. labels: those of the classes, or None where the one output is no scores of
    classes. top_k: how many names are given. from_logits: whether the scores still need a softmax, one a sigmoid.
    """

    outputs: list
    labels: list | None
    top_k: int
    from_logits: bool

    def plain(self, tensors):
        """Numbers alone, as converters take them."""
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
    """(B, classes), or (B, 1) of the second of two classes, to float32 (B, classes) that sum to 1."""
    scores = tf.cast(scores, tf.float32)
    if scores.shape[-1] == 1:
        second = tf.sigmoid(scores) if from_logits else scores
        return tf.concat([1 - second, second], -1)
    return tf.nn.softmax(scores) if from_logits else scores


def of_images(network, preprocess, dtype, shape, prepare, answer):
    """Signatures that take images.

    Args:
        network: of images (B, *shape) of `dtype` to a list of the model's outputs, and the embedding after them.
        preprocess: of float32 images (B, *shape), 0 to 255, to a list of what the network takes.
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
    """Signatures that take tensors by the names of the model's inputs; `raw` those that are preprocessed already."""

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
    """As the network takes it: numbers between whole ones are rounded for a network of whole ones."""
    tensor = tf.convert_to_tensor(tensor)
    if tensor.dtype == dtype:
        return tensor
    return tf.cast(tensor if dtype.is_floating or not tensor.dtype.is_floating else tf.round(tensor), dtype)
