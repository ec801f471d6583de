"""Show how signal and gradient pass through a model, layer by layer, and say what is wrong and where.

MODEL is a .keras file, such as model.keras of a run of tfnn train. Examples of the training part of DATA are sent
forward through it and their gradient back, as in training; one update by the model's own optimizer is measured and
undone. DATA is what tfnn train takes: digits, mnist, fashion_mnist, cifar10, cifar100, a .npz file, or a folder with
one sub-folder of images for each class. The exit code is 0 whatever the verdict.
"""

import json
import pathlib
import re
import textwrap
import warnings

import keras
import numpy as np
import tensorflow as tf

from tfnn.cli.run_folder import check_writable
from tfnn.cli.train import read
from tfnn.diagnose import propagation
from tfnn.random import permutation


def add_arguments(parser):
    parser.add_argument("model", metavar="MODEL", help="a .keras file")
    parser.add_argument("--data", default="digits", help="a name or a path, see above (default digits)")
    parser.add_argument("--skip-bad-images", action="store_true", help="go on without the unreadable images of a folder")
    parser.add_argument("--batch-size", type=int, metavar="B", help="how many examples (default 128, or all that there are)")
    parser.add_argument("--plot", metavar="FILE", help="draw a picture: .png, .svg, .pdf (needs matplotlib)")
    parser.add_argument("--log", metavar="DIR", help="write the numbers for TensorBoard")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(options):
    if options.log:
        check_writable(pathlib.Path(options.log))
    model = loaded(options.model)
    data = read(options)
    rows = len(data.train.y)
    size = min(128, rows) if options.batch_size is None else options.batch_size
    if not 1 <= size <= rows:
        raise ValueError(f"--batch-size {size} must be between 1 and the {rows} training examples")
    batch = data.train.select(permutation(rows, seed=0, epoch=0)[:size])  # a folder gives one class after the other
    try:
        check_images(model, batch.x)
        outputs = scores(model, batch.x, len(data.class_names))
        if not model.compiled:
            compile_with_cross_entropy(model, outputs)
        report = propagation(model, (batch.x, batch.y if takes_integers(model.loss) else one_hot(batch.y, outputs)))
    except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
        raise ValueError(f"{options.model} does not go with --data {options.data}: {essence(error)}") from None
    write(report, options, step=0 if model.optimizer is None else int(model.optimizer.iterations))
    print(json.dumps(report.to_dict(), indent=1) if options.json else report)
    return 0


def loaded(path):
    if not pathlib.Path(path).is_file():
        raise ValueError(f"{path}: no such file; wanted is a .keras file")
    try:
        with warnings.catch_warnings():  # of an optimizer that has not trained yet: there is nothing to load
            warnings.filterwarnings("ignore", "Skipping variable loading .* the saved optimizer has [12] variables")
            return keras.saving.load_model(path)
    except Exception as error:  # a damaged file or a class that is not registered gives errors of many kinds
        raise ValueError(f"{path}: cannot be loaded ({essence(error)})") from None


def check_images(model, x):
    wanted = getattr(model, "input_shape", None)  # a subclass of Model does not tell it; running it will show
    if wanted is None:
        return
    fits = isinstance(wanted, tuple) and len(wanted) == x.ndim
    if not fits or any(size not in (None, found) for size, found in zip(wanted[1:], x.shape[1:])):
        raise ValueError(f"it takes {wanted[1:] if isinstance(wanted, tuple) else wanted}, the images are {x.shape[1:]}")


def scores(model, x, classes):
    """The outputs for the images, which must be scores of as many classes, or one score of two."""
    outputs = model(x, training=False)
    if not (tf.is_tensor(outputs) and outputs.shape.rank == 2):
        shapes = keras.tree.map_structure(lambda output: tuple(output.shape[1:]), outputs)
        raise ValueError(f"it gives {shapes} for an image, wanted are scores of classes, ({classes},)")
    if classes > max(2, outputs.shape[1]):
        raise ValueError(f"it tells {max(2, outputs.shape[1])} classes apart, the data has {classes}")
    return tf.cast(outputs, tf.float32).numpy()


def compile_with_cross_entropy(model, outputs):
    """For a model that was saved without `compile`: the usual loss, and no optimizer."""
    one = outputs.shape[1] == 1
    probabilities = outputs.min() >= 0 and (outputs.max() <= 1 if one else np.allclose(outputs.sum(1), 1, atol=1e-2))
    loss = keras.losses.BinaryCrossentropy if one else keras.losses.SparseCategoricalCrossentropy
    model.compile(optimizer=None, loss=loss(from_logits=not probabilities))
    warnings.warn("the model was saved without compile: its loss is taken for cross-entropy, no update shown", stacklevel=2)


def takes_integers(loss):
    names = [getattr(one, "__name__", f"{type(one).__name__} {one}") for one in keras.tree.flatten(loss)]
    return any("sparse" in name.lower() for name in names)


def one_hot(y, outputs):
    return y[:, None] if outputs.shape[1] == 1 else np.eye(outputs.shape[1], dtype="float32")[y]


def write(report, options, step):
    if options.plot:
        try:
            report.plot(options.plot)
        except ImportError as error:
            raise ValueError(str(error)) from None
    if options.log:
        report.log(options.log, step)


def essence(error):
    """The line of an error that tells what is wrong; Keras prints it bold, between others."""
    bold = re.search("\x1b\\[1m(.+?)\x1b\\[0m", str(error), re.DOTALL)
    text = (bold.group(1) if bold else str(error)).strip() or type(error).__name__
    return textwrap.shorten(text.splitlines()[0], 250, placeholder=" ...")
