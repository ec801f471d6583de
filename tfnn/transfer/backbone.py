"""The models of `keras.applications` without their heads, and facts about each."""

import dataclasses
import difflib
import functools
import importlib.resources
import json
import types
import warnings
from collections.abc import Mapping

import keras

from tfnn.transfer.imagenet import fetched
from tfnn.transfer.pixel_modes import preprocess
from tfnn.transfer.weights import load_weights, source


def backbone(name: str) -> "Backbone":
    """Looks up a model of `keras.applications`.

    Args:
        name: the name of the constructor, such as "MobileNetV2".

    Returns:
        A `Backbone`.

    Raises:
        ValueError: for an unknown name; the error suggests similar ones.

    Example:
        >>> mobile = tfnn.transfer.backbone("MobileNetV2")
        >>> model = mobile.build((96, 96, 3))
        >>> features = model(mobile.preprocess(images))  # uint8 (B, 96, 96, 3) -> float32 (B, 1280)
    """
    known = table()
    if name in known:
        return known[name]
    lower = {known_name.lower(): known_name for known_name in known}
    near = difflib.get_close_matches(str(name).lower(), lower, n=3, cutoff=0.5)
    hint = f"; near are {', '.join(lower[one] for one in near)}" if near else f"; known are {', '.join(known)}"
    raise ValueError(f"no backbone {name!r} in keras.applications{hint}")


def backbones() -> tuple[str, ...]:
    """A tuple of the names that `backbone` knows.

    Example:
        >>> "ResNet50" in tfnn.transfer.backbones()
    """
    return tuple(table())


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A model of `keras.applications` without its head.

    Attributes:
        name: the name of the constructor.
        input_size: the height and width of the images it was trained on.
        minimum_size: the smallest height and width; there is no largest.
        any_channels: whether it takes images whose number of channels is not 3 (without ImageNet's weights).
        preprocessing: "caffe" (BGR minus its mean), "tf" (−1 to 1), "torch" (0 to 1, standardised by channel), or "inside"
            if the network's own first layers do it.
        feature_layer: the name of the last layer before the pooling; it has one channel per feature. Names that Keras counts
            up, such as "activation_17" of MobileNetV3Small, hold in a fresh session only.
        features: the number of pooled features.
        stages: {name: number of parameters} of the blocks that are frozen or trained as one, from input to output.
        activations: how many numbers all layers together put out for one image of `input_size`.
        files: {input size: (name, URL, hash or None)} of ImageNet's weights, as Keras knows them.

    Example:
        >>> tfnn.transfer.backbone("MobileNetV2").features
    """

    name: str
    input_size: int
    minimum_size: int
    any_channels: bool
    preprocessing: str
    feature_layer: str
    features: int
    stages: Mapping
    activations: int
    files: Mapping

    @property
    def parameters(self):
        return sum(self.stages.values())

    def memory(self, batch_size=1):
        """Bytes of the weights and of all layers' outputs for a batch of images of `input_size`, in float32.

        This estimates the memory for training all stages. Gradients and each of an optimizer's slots add 4 bytes per
        parameter. Prediction needs less, because it drops each output after its last use.
        """
        return 4 * (self.parameters + batch_size * self.activations)

    def preprocess(self, x):
        """Turns pixels into the network's input, as Keras's `preprocess_input` does, but as a pure function of any dtype.

        Args:
            x: an array, which is not changed, or a tensor of RGB images (..., height, width, 3), 0 to 255.

        Returns:
            An array or tensor of the same shape: float32, or the type of `x` if that is a float.
        """
        return preprocess(x, self.preprocessing)

    def build(self, input_shape=None, weights=None, pooling="avg"):
        """The model without its head. Its layers do not depend on `weights`.

        Args:
            input_shape: (height, width, channels) of images; None takes `input_size` and 3 channels.
            weights: "imagenet", from Keras's cache or downloaded to it; a path, see `tfnn.transfer.load_weights`; or None
                for random ones.
            pooling: "avg" or "max" over height and width; None leaves the feature maps.

        Returns:
            A functional Keras model from `preprocess`ed images to features (B, features).

        Raises:
            ValueError: if the network cannot take such images, or the weights do not fit it.
            ConnectionError: if ImageNet's weights are not in the cache and cannot be downloaded.
            FileNotFoundError: if there is no such file of weights.
        """
        shape = self.checked(input_shape, weights)
        if weights == "imagenet":
            weights = self.imagenet(shape)
        elif weights is not None:
            weights = source(weights)  # before the network is built, which takes a while
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "This model usually expects 1 or 3 input channels|`input_shape` is undefined")
            constructor = getattr(keras.applications, self.name)
            model = constructor(include_top=False, weights=None, input_shape=shape, pooling=pooling)
        if weights is not None:
            load_weights(model, weights)
        return model

    def imagenet(self, input_shape=None):
        """The path of ImageNet's weights for images of this shape, in Keras's cache or downloaded to it; `build` takes it.

        Raises:
            ValueError: if the network cannot take such images, or the file in the cache is not Keras's.
            ConnectionError: if the file is not in the cache and cannot be downloaded.
        """
        height, width, _ = self.checked(input_shape, "imagenet")
        return fetched(*self.files.get(height if height == width else None, self.files[self.input_size]))

    def checked(self, input_shape, weights):
        shape = (self.input_size, self.input_size, 3) if input_shape is None else tuple(input_shape)
        if len(shape) != 3 or not shape[2]:
            raise ValueError(f"input_shape={shape} must be (height, width, channels)")
        if any(size is not None and size < self.minimum_size for size in shape[:2]):
            raise ValueError(
                f"input_shape={shape}: {self.name} takes images of at least {self.minimum_size} × {self.minimum_size}"
            )
        if shape[2] != 3 and weights == "imagenet":
            raise ValueError(f"input_shape={shape}: ImageNet's weights are for 3 channels")
        if shape[2] != 3 and not self.any_channels:
            raise ValueError(f"input_shape={shape}: the preprocessing of {self.name} is for 3 channels")
        return shape


@functools.cache
def table():
    """{name: Backbone} from backbones.json, which `make_backbones` writes."""
    stored = json.loads(importlib.resources.files("tfnn.transfer").joinpath("backbones.json").read_text())
    for facts in stored.values():
        facts["files"] = types.MappingProxyType({int(size): tuple(file) for size, file in facts["files"].items()})
        facts["stages"] = types.MappingProxyType(facts["stages"])
    return types.MappingProxyType({name: Backbone(name, **facts) for name, facts in stored.items()})
