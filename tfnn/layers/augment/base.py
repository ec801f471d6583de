"""The base of all augmentation layers: shapes, dtypes, random numbers, and when they act."""

import functools
import math

import keras
import numpy as np
import tensorflow as tf

from tfnn import random
from tfnn.internals.layers import is_inside_another
from tfnn.layers.augment import affine
from tfnn.layers.augment.resample import FILLS, INTERPOLATIONS
from tfnn.layers.augment.transform import Transform


class Augmentation(keras.layers.Layer):
    """Acts on images (B, H, W, C) or (H, W, C) with `training=True`, and leaves them as they are otherwise.

    Float images come in the layer's compute dtype. So do integer ones inside a model, whose layers compute with floats; else,
    as in `Dataset.map`, they stay integer, rounded and kept in range, whereas Keras makes them float. A batch of images of
    different sizes may be ragged. All random numbers of a layer come from one draw.
    """

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def members(self):
        return [self]  # not a property: Keras walks a layer's properties when it saves, and this one would never end

    def call(self, images, training=False):
        if isinstance(images, tf.RaggedTensor):
            return self.of_each(images, training)
        act = self.at_rest
        if training:
            act = compiled(lambda images: self.draw(images).images(images), getattr(images, "shape", ()))
        outputs = act(images)
        return tf.cast(outputs, self.compute_dtype) if is_inside_another(self) else outputs

    def of_each(self, images, training):
        """For images of different sizes, (B, None, None, C): each for itself. They stay ragged unless all come out alike."""
        size = self.compute_output_shape((None, None, images.shape[-1]))
        dtype = self.compute_dtype if images.dtype.is_floating or is_inside_another(self) else images.dtype
        signature = tf.TensorSpec(size, dtype) if None not in size else tf.RaggedTensorSpec(size, dtype, ragged_rank=1)
        act = lambda image: self.call(image.to_tensor() if isinstance(image, tf.RaggedTensor) else image, training)
        spec = lambda image: image if None not in size else tf.RaggedTensor.from_tensor(image)
        return tf.map_fn(lambda image: spec(tf.cast(act(image), dtype)), images, fn_output_signature=signature)

    def draw(self, images):
        """A `Transform` for `images`, which may be applied to their masks, points and boxes too."""
        shape, (rows, *size, channels) = sizes(images)
        steps, counts = [], []
        for member in self.members():
            member.check(*size, channels)
            steps.append((member, size))
            counts.append(member.count(*size, channels))
            size = member.output_size(*size)
        numbers = tf.split(random.uniforms(rows, sum(counts), self.seed_generator), counts, axis=1)
        matrices, changes = [], []
        for (member, seen), u in zip(steps, numbers):
            if isinstance(member, Geometric):
                matrices.append(member.matrix(u, *seen))
            else:
                changes.append(functools.partial(member.change, u=u))
        return self.transform(shape, size, matrices, changes)

    def at_rest(self, images):
        """The output without training: the images themselves, except for crops, which take the middle."""
        shape, (_, *size, channels) = sizes(images)
        matrices = []
        for member in self.members():
            member.check(*size, channels)
            if isinstance(member, Geometric):
                matrices += member.resting(*size)
                size = member.output_size(*size)
        return self.transform(shape, size, matrices, []).images(images) if matrices else images

    def transform(self, shape, size, matrices, changes):
        matrix = functools.reduce(affine.product, matrices) if matrices else None
        return Transform(shape, size, matrix, self.sampling, changes)

    @property
    def sampling(self):
        """(interpolation, fill_mode, fill_value) of the one resampling."""
        geometric = [member for member in self.members() if isinstance(member, Geometric)]
        interpolations = {member.interpolation: member for member in geometric if member.interpolation}
        fills = {(member.fill_mode, member.fill_value): member for member in geometric if member.fill_mode}
        for asked in interpolations, fills:
            if len(asked) > 1:
                said = ", ".join(f"{member.name}: {what}" for what, member in asked.items())
                raise ValueError(f"members of one resampling must agree on interpolation, fill_mode and fill_value, got {said}")
        (interpolation,), (fill,) = interpolations or ["nearest"], fills or [("reflect", 0.0)]
        return interpolation, *fill

    def check(self, height, width, channels):
        """Raises ValueError for images that the layer cannot process."""

    def output_size(self, height, width):
        return height, width

    def compute_output_shape(self, input_shape):
        *rows, height, width, channels = input_shape
        for member in self.members():
            member.check(height, width, channels)
            height, width = member.output_size(height, width)
        return *rows, height, width, channels

    def compute_output_spec(self, images, training=False):
        check_shape(images.shape)
        return keras.KerasTensor(self.compute_output_shape(images.shape), self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


class Geometric(Augmentation):
    """Moves pixels: `matrix(u, height, width)`, with numbers u (B, count) in [0, 1), tells where each comes from."""

    def __init__(self, interpolation, fill_mode, fill_value, seed=None, **kwargs):
        super().__init__(seed, **kwargs)
        if interpolation not in (None, *INTERPOLATIONS):
            raise ValueError(f"interpolation={interpolation!r} must be one of {INTERPOLATIONS}")
        if fill_mode not in (None, *FILLS):
            raise ValueError(f"fill_mode={fill_mode!r} must be one of {tuple(FILLS)}")
        self.interpolation, self.fill_mode, self.fill_value = interpolation, fill_mode, fill_value

    def get_config(self):
        config = super().get_config()
        for name in ("interpolation", "fill_mode", "fill_value"):
            if getattr(self, name) is not None:
                config[name] = getattr(self, name)
        return config

    def resting(self, height, width):
        """The matrix of this layer at test, in a list, which is empty where the layer leaves images as they are."""
        return []


class Pixelwise(Augmentation):
    """Changes values by `adjust(x, u)`: images x scaled from the value range to 0..1, numbers u (B, count) in [0, 1)."""

    def __init__(self, value_range, seed=None, **kwargs):
        super().__init__(seed, **kwargs)
        if np.shape(value_range) != (2,) or not -math.inf < value_range[0] < value_range[1] < math.inf:
            raise ValueError(f"value_range={value_range} must be a finite pair, the lowest pixel and the highest")
        self.value_range = value_range

    def change(self, x, u):
        low, high = self.value_range
        return low + (high - low) * tf.clip_by_value(self.adjust((x - low) / (high - low), u), 0.0, 1.0)

    def get_config(self):
        return {**super().get_config(), "value_range": self.value_range}


def check_rgb(layer, channels):
    if isinstance(channels, int) and channels != 3:
        raise ValueError(f"{layer.name} needs images of red, green and blue, got {channels} channels")


def sizes(images):
    """The static shape, and [B, H, W, C] with tensors in place of unknown sizes."""
    if isinstance(images, dict):
        raise ValueError(f"images must be a tensor, got a dict of {sorted(images)}: draw(images) moves masks and boxes, too")
    images = tf.convert_to_tensor(images)
    check_shape(images.shape)
    dynamic = tf.shape(images)
    known = [dynamic[axis] if length is None else length for axis, length in enumerate(images.shape)]
    return tuple(images.shape), known if len(known) == 4 else [1, *known]


def check_shape(shape):
    if keras.config.image_data_format() == "channels_first":
        raise ValueError(
            "tfnn's augmentation takes images (B, H, W, C), and keras.config.image_data_format() is 'channels_first': transpose"
            " them with keras.ops.moveaxis, and call keras.config.set_image_data_format('channels_last')"
        )
    if shape is None or len(shape) not in (3, 4) or 0 in tuple(shape)[-3:]:
        raise ValueError(f"images of shape {shape} must be (B, H, W, C) or (H, W, C), with at least one pixel")


def compiled(function, shape):
    """`function` under XLA, which fuses the look-up with the computation before it: six times as fast on a CPU.

    It is compiled once for each shape of batch. So it is not where height and width may differ from image to image; nor in
    eager mode, where each call would compile anew, nor under several replicas, where XLA fails on CPUs.
    """
    varies = None in tuple(shape)[-3:]
    if varies or tf.executing_eagerly() or tf.distribute.get_strategy().num_replicas_in_sync > 1:
        return function
    return tf.function(function, jit_compile=True, autograph=False)
