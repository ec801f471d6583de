"""A classifier of images on a backbone: preprocessing, stages and a new head in one graph."""

import os
import re
import warnings
from collections.abc import Sequence

import keras

from tfnn.checks import int32
from tfnn.internals.functional import giver_of
from tfnn.layers import Dropout
from tfnn.transfer.backbone import backbone as backbone_of
from tfnn.transfer.backbone import backbones
from tfnn.transfer.freezing import freeze
from tfnn.transfer.preprocessing import Preprocessing
from tfnn.transfer.stage_model import chained
from tfnn.transfer.stages import functional


def classifier(
    backbone: str | keras.Model,
    classes: int,
    input_shape: Sequence[int] | None = None,
    weights: str | os.PathLike | None = None,
    *,
    preprocessing: str | None = None,
    unfreeze: int | str = 0,
    dropout: float = 0.2,
    kernel_initializer: str | keras.Initializer = "zeros",
    name: str | None = None,
) -> keras.Model:
    """A classifier of images with a backbone of `keras.applications`, or one of your own.

    "Freeze all but the last few layers, retrain on the small set; the bigger the set, the more layers are retrained"
    (lecture, section 7). The backbone's preprocessing is the first layer of the model, so training, evaluation and an
    exported bundle cannot differ in it: images are always RGB, 0 to 255.

    Args:
        backbone: a name that `tfnn.transfer.backbone` knows, such as "MobileNetV2"; or your own functional model or
            Sequential from images to features (B, F), whose layers and weights are shared. It takes pixels, 0 to 255, or
            the result of `preprocessing`.
        classes: the number of classes.
        input_shape: for a name, the (height, width, channels) of images; None takes the size of the backbone's training.
        weights: for a name, "imagenet", a path (see `tfnn.transfer.load_weights`) or None.
        preprocessing: for a model, the name of a network of `keras.applications` whose preprocessing to put before it:
            Keras's constructors give networks without theirs. None for a model that takes pixels as they are. A backbone
            given by name brings its own.
        unfreeze: how many of the last stages are trained with the head, an int or "all"; see `tfnn.transfer.Unfreeze`.
        dropout: the share of the features that is dropped in training, before the head.
        kernel_initializer: of the head. Zeros, as in BiT (Kolesnikov et al. 2020, arXiv:1912.11370), make all classes
            equally probable at the start, and the first update leaves the features alone. `HeNormal()` starts at random.
        name: the name of the model.

    Returns:
        A functional Keras model from images (B, height, width, channels), 0 to 255, any dtype, to probabilities (B, classes).
        Its stages are layers of the class `StageModel`; a frozen stage runs entirely in inference mode.

    Raises:
        ValueError: if there are fewer than 2 classes, or the backbone does not give features (B, F) or ends in a softmax;
            also as for `Backbone.build`.

    Example:
        >>> model = tfnn.transfer.classifier("MobileNetV2", 5, (96, 96, 3), weights="imagenet")
        >>> model.compile(tfnn.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
        >>> tfnn.fit(model, images, labels, epochs=20, callbacks=[tfnn.transfer.Unfreeze({10: 1})])
    """
    classes = int32("classes", classes, low=2)
    if isinstance(backbone, str):
        if preprocessing is not None:
            raise ValueError(f"preprocessing={preprocessing!r} is for a model; {backbone} brings its own")
        known = backbone_of(backbone)
        body, mode, name = known.build(input_shape, weights), known.preprocessing, name or f"{backbone}_classifier"
    elif input_shape is not None or weights is not None:
        raise ValueError("input_shape and weights belong to a backbone that is given by name; a model has its own")
    else:
        body, mode = backbone, backbone_of(preprocessing).preprocessing if preprocessing else "inside"
    check_features(body)
    if not isinstance(backbone, str) and preprocessing is None:
        warn_of_bare_network(body)
    x = inputs = keras.Input(body.inputs[0].shape[1:], name="image")
    if mode != "inside":
        x = Preprocessing(mode, name="preprocessing")(x)
    x = chained(functional(body), x)
    x = Dropout(dropout, name="dropout")(x) if dropout else x
    head = keras.layers.Dense(classes, "softmax", kernel_initializer=kernel_initializer, dtype="float32", name="head")
    model = keras.Model(inputs, head(x), name=name)
    freeze(model, unfreeze)
    return model


def check_features(body):
    outputs = getattr(body, "outputs", None)
    if not outputs or len(outputs) > 1 or len(body.inputs) > 1:
        raise ValueError(f"a backbone must be a functional model of one input and one output, got {body!r}")
    shape = tuple(outputs[0].shape)
    if len(shape) != 2 or shape[-1] is None:
        raise ValueError(f"a backbone must give features (B, F), got {shape}: end it with a global pooling")
    last = giver_of(outputs[0])
    if getattr(last, "activation", None) is keras.activations.softmax:
        raise ValueError(f"a backbone must give features, and {body.name!r} gives classes: make it with include_top=False")


def warn_of_bare_network(body):
    """Warns if a constructor of `keras.applications` made the network and it lacks its `preprocess_input`.

    Such a network has nothing before its first weights, and would get pixels, 0 to 255.
    """
    plain = lambda name: re.sub(r"\W|_", "", name).lower()
    alike = [name for name in backbones() if plain(body.name).startswith(plain(name))]
    known = backbone_of(max(alike, key=len)) if alike else None
    passive = keras.layers.InputLayer, keras.layers.ZeroPadding2D
    first = next((layer for layer in body.layers if not isinstance(layer, passive)), None)
    if known and known.preprocessing != "inside" and first is not None and first.weights:
        warnings.warn(
            f"backbone {body.name!r} is given pixels of 0 to 255; if its weights are those of keras.applications, it wants"
            f" classifier({known.name!r}, ...), or preprocessing={known.name!r}",
            stacklevel=3,
        )
