"""Draw what a model sees in training: images and augmented copies of them side by side, as one PNG.

Each row begins with an image of the training part of DATA. After a wide gap follow its copies, each made with random
numbers of its own. Classes come in turn. DATA is what tfnn train takes: digits, mnist, fashion_mnist, cifar10,
cifar100, a .npz file, or a folder with one sub-folder of images for each class. Strengths are those of tfnn.layers; 0
leaves a layer out.
"""

import math
import pathlib

import keras
import numpy as np
import tensorflow as tf

import tfnn
from tfnn.cli import augmentation_options
from tfnn.cli.options import add_data, check_seed
from tfnn.cli.pictures import enlarged, pixels, write_png
from tfnn.cli.reading import read_data
from tfnn.random import permutation
from tfnn.training.graph.augmentation import augmented

GAP = 4  # pixels of paper between pictures


def add_arguments(parser):
    add = parser.add_argument_group("sheet").add_argument
    add_data(add)
    add("--out", required=True, metavar="FILE", help="the picture, .png")
    add("--images", type=int, default=10, metavar="N", help="how many images, one in each row (default 10)")
    add("--copies", type=int, default=8, metavar="N", help="how many copies of each image (default 8)")
    add("--seed", type=int, default=1, help="sets the choice of images and their copies (default 1)")
    augmentation_options.add_arguments(parser.add_argument_group("augmentation").add_argument)
    mix = parser.add_argument_group("mixing with the image of the row above").add_mutually_exclusive_group()
    mix.add_argument("--mixup", type=float, metavar="α", help="MixUp with λ ~ Beta(α, α)")
    mix.add_argument("--cutmix", type=float, metavar="α", help="CutMix with λ ~ Beta(α, α)")


def run(options):
    path = pathlib.Path(options.out)
    check(options, path)
    data = read_data(options)
    part = chosen(data.train, options.images, options.seed)
    steps = steps_of(options, data.value_range)
    labels = tf.one_hot(part.y, len(data.class_names))
    columns = [part.x]
    for copy in range(options.copies):
        with tfnn.random.scope(options.seed, copy, tf.range(len(part.y))):
            images, _, _ = augmented(steps, tf.constant(part.x), labels, None)
        columns.append(keras.ops.convert_to_numpy(images))
    picture = sheet(columns, data.value_range)
    write_png(path, picture)
    height, width, _ = picture.shape
    print(f"{path}: {len(part.y)} images of {data.name} and {options.copies} copies of each, {width} × {height} pixels")
    return 0


def check(options, path):
    if path.suffix.lower() != ".png":
        raise ValueError(f"--out {path}: the picture is written as .png")
    for name, value in ("images", options.images), ("copies", options.copies):
        if not 1 <= value <= 100:
            raise ValueError(f"--{name} {value} must be between 1 and 100")
    check_seed(options)
    augmentation_options.check(options)
    for name, alpha in ("mixup", options.mixup), ("cutmix", options.cutmix):
        if alpha is not None and not 0 < alpha < math.inf:
            raise ValueError(f"--{name} {alpha:g} must be positive and finite")


def chosen(part, count, seed):
    """`count` examples in random order, with classes in turn."""
    shuffled = part.select(permutation(len(part.y), seed, epoch=0))
    by_class = np.argsort(shuffled.y, kind="stable")
    labels = shuffled.y[by_class]
    turn = np.arange(len(labels)) - np.searchsorted(labels, labels)  # how many of its class stand before it
    return shuffled.select(by_class[np.lexsort((labels, turn))][:count])


def steps_of(options, value_range):
    steps = augmentation_options.steps_of(options, value_range)
    if options.mixup is not None:
        steps.append(tfnn.layers.MixUp(options.mixup))
    if options.cutmix is not None:
        steps.append(tfnn.layers.CutMix(options.cutmix))
    return steps


def sheet(columns, value_range, side=64):
    """Columns of images (N, H, W, C) on white paper, small ones enlarged to about `side` pixels: uint8 (H', W', C)."""
    columns = [enlarged(pixels(images, value_range), side) for images in columns]
    rows, height, width, channels = columns[0].shape
    wide, tall = width + GAP, height + GAP
    paper = np.full((tall * rows + GAP, wide * len(columns) + 5 * GAP, channels), 255, np.uint8)
    for column, images in enumerate(columns):
        left = GAP + column * wide + (4 * GAP if column else 0)
        for row, image in enumerate(images):
            top = GAP + row * tall
            paper[top : top + height, left : left + width] = image
    return paper
