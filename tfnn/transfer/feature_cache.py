"""Computes a frozen backbone's features of each image once, and keeps them in memory or on disk."""

import os
import weakref

import keras
import numpy as np
import tensorflow as tf

from tfnn import random
from tfnn.checks import positive_integer
from tfnn.internals.functional import calls_of
from tfnn.internals.layers import layers_of, takes_training
from tfnn.training.graph.augmentation import augmented
from tfnn.training.graph.compiled import Compiled
from tfnn.training.graph.xla import own_code
from tfnn.training.source.arrays import Arrays
from tfnn.training.source.file_stream import FileStream
from tfnn.training.source.preprocessing import PreprocessedRows
from tfnn.transfer.feature_key import description, key_of
from tfnn.transfer.feature_store import Folder, Memory
from tfnn.transfer.stage_model import StageModel


class FeatureCache:
    """Lets `tfnn.fit(model, x, y, cache=FeatureCache())` run a frozen backbone once per image, not once per epoch.

    While all stages of a `tfnn.transfer.classifier` are frozen, the last stage gives the same features for an image in each
    epoch. They are computed in one pass over the images (arrays or `tfnn.data.ImageFiles`), and the head is trained on them,
    in the same order of examples. Weights and history equal those of a run without the cache, up to rounding (1e-5). Once a
    stage is unfrozen, images are read again.

    With `fit(augment=...)` an image has `copies` sets of features: epoch e trains on the image as augmentation draws it for
    epoch e mod `copies`. In the first `copies` epochs these are the images of a run without the cache. Only the masks of
    dropout differ, because its draws are counted after those of the augmentation.

    Args:
        directory: a folder in which features stay from run to run, one file per set of images; None keeps them in memory. A
            file is named by the SHA-256 of all that it depends on: the backbone's layers and weights, the preprocessing, the
            pixels, the augmentation and its seed, and the versions of Keras and TensorFlow.
        copies: the number of augmented sets of features per image. With None and augmentation, the backbone runs at each
            update.
        max_bytes: a limit for all features that are kept; the least recently used are dropped.
        batch_size: how many images the backbone takes at a time.

    Raises:
        ValueError: if a number is not a positive integer.

    Example:
        >>> cache = tfnn.transfer.FeatureCache("features")
        >>> tfnn.fit(model, images, labels, epochs=20, cache=cache, callbacks=[tfnn.transfer.Unfreeze({10: 1})])
    """

    def __init__(
        self,
        directory: str | os.PathLike | None = None,
        copies: int | None = None,
        max_bytes: int = 2**30,
        batch_size: int = 64,
    ) -> None:
        for name, number in ("copies", copies), ("max_bytes", max_bytes), ("batch_size", batch_size):
            if number is not None:
                positive_integer(name, number)
        self.copies, self.batch_size = copies, batch_size
        self.store = Folder(directory, max_bytes) if directory is not None else Memory(max_bytes)
        self.parts: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # {model: (backbone, head)}

    def features(self, model, source, validation, steps, seed):
        """The head and its features, for `tfnn.fit` to train in place of the model.

        Args:
            model: compiled.
            source, validation: the sources that `fit` reads; the latter may be None.
            steps: the layers of the augmentation.
            seed: of the run.

        Returns:
            ((head, its source, its validation data), a note for the user), or (None, a note that says why not).
        """
        why_not = obstacle(model, source, validation, steps, self.copies)
        if not why_not:
            body, head = self.split(model)
            why_not = changing(body) if head else "the head takes more than what the last stage gives"
        if why_not:
            return None, f"features not cached: {why_not}"
        copies = self.copies if steps else 1
        each, most = features_bytes(body), self.store.max_bytes
        size = copies * source.rows * each
        both = size + (validation.rows * each if validation else 0)
        if both > most:
            fewer = ", or keep fewer copies" if copies > 1 else ""
            return None, f"features not cached: {both:,} bytes are above max_bytes={most:,}: allow more{fewer}"
        features, told = self.kept_or_computed(body, source.data[0], steps, seed, copies)
        trained, held_out = Copies(features, source), None
        if validation:
            held_out = Copies(self.kept_or_computed(body, validation.data[0], (), seed, 1)[0], validation)
        what = f"{copies} augmented copies of {source.rows}" if steps else f"{source.rows}"
        return (head, trained, held_out), f"features of {what} images {told}, {size / 1e6:,.1f} MB"

    def split(self, model):
        """(model from images to features, model from features to outputs or None), made once for each `model`."""
        if model not in self.parts:
            calls = [call for call in calls_of(model) if isinstance(call.operation, StageModel)]
            (features,) = calls[-1].outputs
            try:
                head = keras.Model(features, model.output)
            except ValueError:  # outputs also depend on other tensors
                head = None
            self.parts[model] = keras.Model(model.input, features), head
        return self.parts[model]

    def kept_or_computed(self, body, x, steps, seed, copies):
        """(features (copies, N, F), "kept" or "computed")."""
        known = description(body, steps, seed)
        key = known and key_of(known, x, copies)
        found = self.store.get(key) if known else None
        if found is not None:
            return found, "kept"
        found = self.computed(body, x, steps, seed, copies)
        if known:
            self.store.put(key, found)
        return found, "computed"

    def computed(self, body, x, steps, seed, copies):
        """Computes the features, (copies, N, F)."""

        @tf.function(autograph=False)
        def features(images, copy, examples):
            with random.scope(seed, copy, examples):
                images, _, _ = augmented(steps, images, None, None)
            return body(images, training=False)

        specs = tf.TensorSpec([None, *x.shape[1:]], x.dtype), tf.TensorSpec([], tf.int32), tf.TensorSpec([None], tf.int32)
        trace, rows = features.get_concrete_function(*specs), len(x)
        found = [[] for _ in range(copies)]
        for start in range(0, rows, self.batch_size):  # images in files are decoded once for all copies
            end = min(start + self.batch_size, rows)
            images, examples = tf.convert_to_tensor(x[start:end]), tf.range(start, end)
            for copy, batches in enumerate(found):
                batches.append(trace(images, tf.constant(copy), examples).numpy())
        return np.stack([np.concatenate(batches) for batches in found])


class Copies(Arrays):
    """Features in place of the images of `whole`: pass p reads copy p mod their number."""

    def __init__(self, features, whole):
        self.copies = [tf.constant(copy) for copy in features]
        super().__init__((self.copies[0], *whole.data[1:]), whole.micro_batch, whole.shuffle, whole.seed)

    def seek(self, passes, place=0):
        super().seek(passes, place)
        self.data = (self.copies[passes % len(self.copies)], *self.data[1:])


def obstacle(model, source, validation, steps, copies):
    """Says why the features cannot be computed before a run, or None."""
    stages = [layer for layer in model.layers if isinstance(layer, StageModel)]
    if not stages:
        return "the model has no stages, as tfnn.transfer.classifier makes them"
    if len(model.inputs) > 1:
        return "the model takes more than images"
    trained = [stage.name for stage in stages if stage.trainable_weights]
    if trained:
        return f"{', '.join(trained)} {'is' if len(trained) == 1 else 'are'} trained"
    compiled = Compiled(model)
    if compiled.own_step or compiled.own_test_step:
        return f"the model has a {compiled.own_step or 'test_step'} of its own"
    if compiled.own_loss:
        return "the model has a compute_loss of its own, which may read images"
    for part, what in (source, "images"), (validation, "validation images"):
        if part is not None and not isinstance(part, (Arrays, FileStream)):
            return f"{what} are read as a stream"
        if isinstance(part, PreprocessedRows):
            return f"{what} are made by the model's preprocess_samples"
    if steps and copies is None:
        return "augmentation draws anew in each epoch; FeatureCache(copies=k) keeps k augmented copies"
    mixing = [type(step).__name__ for step in steps if hasattr(step, "augment_batch")]
    return f"{mixing[0]} mixes labels" if mixing else None


def changing(body):
    """Says why features of an image could differ between updates, or why a call does more than compute them; or None."""
    for layer in body.layers:
        if not isinstance(layer, StageModel):  # a layer that a user put before the stages
            if layer.trainable_weights:
                return f"{layer.name}, below the stages, is trained"
            if takes_training(layer):
                return f"{layer.name}, below the stages, may give something else in training"
    return "layers of the backbone add to the loss" if adds_losses(body) else None


def adds_losses(body):
    """Whether a call adds to the loss, by activity regularizers or `add_loss`."""
    layers = layers_of(body)
    if any(layer.activity_regularizer is not None for layer in layers):
        return True
    if not any(map(own_code, layers)):
        return False
    spec = tf.TensorSpec([None, *body.input_shape[1:]], body.input_dtype)
    tf.function(lambda images: body(images, training=False), autograph=False).get_concrete_function(spec)
    return bool(body.losses)


def features_bytes(body):
    return int(np.prod(body.output_shape[1:])) * tf.as_dtype(body.compute_dtype).size
