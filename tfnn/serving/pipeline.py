"""The way from a request to its answer, twice: in Keras, as in training, and as a graph."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfnn.checks import positive_integer
from tfnn.internals.functional import inputs_of
from tfnn.serving import checks, golden, network, pictures, signatures
from tfnn.serving.fold_batchnorm import fold_batchnorm


class Traced(NamedTuple):
    """A pipeline as graphs.

    Attributes:
        served: {signature: concrete function}.
        state: the variables and tables that they read.
        bytes: the size of all weights and constants.
        folded: how many BatchNorms were folded.
    """

    served: dict
    state: list
    bytes: int
    folded: int


class Pipeline:
    """A model with all that turns requests into its inputs and its outputs into named answers.

    Its arguments are those of `export`.
    """

    def __init__(self, given, labels, preprocess, prepare, from_logits, size, top_k, names, embedding):
        self.given, self.model = given, network.functional(given)
        self.structure = inputs_of(self.model)
        self.specs, self.outputs = network.input_specs(self.model), network.output_names(self.model)
        self.shape = checks.image_shape(self.specs, size)
        if prepare is not None and self.shape is None:
            raise ValueError(f"prepare is for models of one image of known size, got {checks.shapes(self.specs)}")
        positive_integer("top_k", top_k)
        self.labels = checks.class_labels(labels, self.model.outputs, from_logits)
        self.answer = signatures.Answer(self.outputs, self.labels, min(top_k, len(self.labels or [])), from_logits)
        there = ["serving_default", *(["image_bytes"] if self.shape else []), "raw"]
        self.names = checks.chosen_signatures(names, there, embedding)
        self.preprocess, self.prepare, self.embedding = preprocess, prepare, embedding
        self.whole = self.model if embedding is None else network.with_embedding(self.model, embedding)

    def preprocessed(self, *tensors):
        """Preprocesses flat tensors of a request to flat inputs of the model."""
        if self.preprocess is not None:
            inputs = keras.tree.pack_sequence_as(self.structure, list(tensors))
            tensors = keras.tree.flatten(self.preprocess(tensors[0] if len(tensors) == 1 else inputs))
        return [signatures.cast(tensor, spec.dtype) for tensor, spec in zip(tensors, self.specs)]

    def cases(self, warmup):
        """`golden.Case`s: the training pipeline's answers to the inputs in `warmup`, or to drawn ones."""
        specs = [signatures.IMAGES] if self.shape else self.specs
        if warmup is not None and warmup is not False:
            inputs = golden.given(warmup, specs)
        else:
            inputs = {"image": golden.images(self.shape)} if self.shape else golden.tensors(specs)
        with tf.device("CPU"):
            flat = [tf.constant(inputs[spec.name]) for spec in specs]
            raw = self.preprocessed(*([pictures.fit_sizes(*flat, self.shape, self.prepare)] if self.shape else flat))
        outputs = golden.outputs_of(self.given, self.structure, raw)
        checks.check_outputs(outputs, self.labels, self.answer.from_logits)
        embedding = None
        if self.embedding is not None:
            embedding = golden.outputs_of(self.whole, inputs_of(self.whole), raw)[-1].numpy()
        make = golden.image_cases if self.shape else golden.tensor_cases
        plain, answers = golden.arrays(self.answer.plain(outputs)), golden.arrays(self.answer(outputs))
        raw = {spec.name: np.asarray(tensor) for spec, tensor in zip(self.specs, raw)}
        return [case for case in make(inputs, raw, answers, plain, embedding) if case.signature in self.names]

    def traced(self, fold, freeze):
        """The pipeline as graphs."""
        folded = fold_batchnorm(self.whole) if fold else None
        answer = (lambda inputs: self.whole(inputs, training=False)) if folded is None else folded
        net = network.network(answer, self.whole, self.specs, freeze)
        given = [tf.TensorSpec([None, *self.shape], tf.float32)] if self.shape else self.specs
        before = network.once(self.preprocessed, given, freeze)
        parts = [net, before]
        if self.shape is None:
            made = signatures.of_tensors(net.call, before.call, self.specs, self.answer)
        else:
            prepare = self.prepare
            if prepare is not None:
                image = tf.TensorSpec([None, None, self.shape[-1]], tf.float32)
                parts.append(network.once(lambda image: [self.prepare(image)], [image], freeze))
                prepare = lambda image: parts[-1].call(image)[0]
            made = signatures.of_images(net.call, before.call, self.specs[0].dtype, self.shape, prepare, self.answer)
        served = {name: made[name].get_concrete_function() for name in self.names}
        state = [*network.tables(self.model), *(part.state for part in parts)]
        return Traced(served, state, sum(part.bytes for part in parts), len(folded.folded) if fold else 0)
