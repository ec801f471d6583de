"""Show how signal and gradient pass through a model, layer by layer, and say what is wrong and where.

MODEL is a .keras file, such as model.keras in the folder of a run of tfnn train. Examples of the training part of
DATA pass forward through it, and their gradient passes back, as in training. Then one update by the model's own
optimizer is measured and undone. DATA is what tfnn train takes: digits, mnist, fashion_mnist, cifar10, cifar100, a
.npz file, or a folder with one sub-folder of images for each class. The exit code is 0 whatever the verdict.
"""

import json
import pathlib
import warnings

import keras
import numpy as np
import tensorflow as tf

from tfnn.cli.drawing import check_drawable
from tfnn.cli.options import add_data, check_batch_size
from tfnn.cli.reading import essence, read_data, read_model
from tfnn.cli.run_folder import check_writable
from tfnn.diagnose import propagation
from tfnn.random import permutation


def add_arguments(parser):
    parser.add_argument("model", metavar="MODEL", help="a .keras file")
    add_data(parser.add_argument)
    parser.add_argument(
        "--batch-size", type=int, metavar="B", help="how many examples (default 128, or all if there are fewer)"
    )
    parser.add_argument("--plot", metavar="FILE", help="draw a picture: .png, .svg, .pdf (needs matplotlib)")
    parser.add_argument("--log", metavar="DIR", help="write the numbers for TensorBoard")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(options):
    if options.log:
        check_writable(pathlib.Path(options.log))
    if options.plot:
        check_drawable(options.plot)
    model = read_model(options.model, compile=True)
    data = read_data(options)
    rows = len(data.train.y)
    size = min(128, rows) if options.batch_size is None else options.batch_size
    check_batch_size(size, rows)
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


def check_images(model, x):
    wanted = getattr(model, "input_shape", None)  # a subclass of Model does not tell it; running it will show
    if wanted is None:
        return
    fits = isinstance(wanted, tuple) and len(wanted) == x.ndim
    if not fits or any(size not in (None, found) for size, found in zip(wanted[1:], x.shape[1:])):
        raise ValueError(f"it takes {wanted[1:] if isinstance(wanted, tuple) else wanted}, the images are {x.shape[1:]}")


def scores(model, x, classes):
    """The outputs for the images. They must be a score for each class, or a single score for two classes."""
    outputs = model(x, training=False)
    if not (tf.is_tensor(outputs) and outputs.shape.rank == 2):
        shapes = keras.tree.map_structure(lambda output: tuple(output.shape[1:]), outputs)
        raise ValueError(f"it gives {shapes} for an image, wanted are scores of classes, ({classes},)")
    if classes > max(2, outputs.shape[1]):
        raise ValueError(f"it tells {max(2, outputs.shape[1])} classes apart, the data has {classes}")
    return tf.cast(outputs, tf.float32).numpy()


def compile_with_cross_entropy(model, outputs):
    """Gives a model that was saved without `compile` the usual loss, and no optimizer."""
    one = outputs.shape[1] == 1
    probabilities = outputs.min() >= 0 and (outputs.max() <= 1 if one else np.allclose(outputs.sum(1), 1, atol=1e-2))
    loss = keras.losses.BinaryCrossentropy if one else keras.losses.SparseCategoricalCrossentropy
    model.compile(optimizer=None, loss=loss(from_logits=not probabilities))
    warnings.warn(
        "the model was saved without compile: its loss is taken for cross-entropy, and no update is shown", stacklevel=2
    )


def takes_integers(loss):
    names = [getattr(one, "__name__", f"{type(one).__name__} {one}") for one in keras.tree.flatten(loss)]
    return any("sparse" in name.lower() for name in names)


def one_hot(y, outputs):
    return y[:, None] if outputs.shape[1] == 1 else np.eye(outputs.shape[1], dtype="float32")[y]


def write(report, options, step):
    if options.plot:
        report.plot(options.plot)
    if options.log:
        report.log(options.log, step)
