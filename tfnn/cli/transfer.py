"""Train a classifier of your images on a network that has learnt from others, and export it.

DATA is a folder with one sub-folder of images for each class, a .csv file with the columns path and label, or what
tfnn train takes. The network is one of keras.applications (tfnn backbones lists them); its weights are ImageNet's,
which are downloaded once, or those of a file or of an earlier run (--weights). The head is trained first, while the
network is frozen and its features are computed once; then its last stages with the head, the fewer the less data
there are.

A run that was killed goes on with --resume, to the last bit of the weights that it would have reached.
"""

import datetime
import math
import pathlib
import shutil

import keras
import numpy as np
import tensorflow as tf

import tfnn
from tfnn import distribute, transfer
from tfnn.callbacks.tensorboard import pictures
from tfnn.cli import augmentation_options, mistakes, next_steps, resume, transfer_recipe, unfreezing
from tfnn.cli.export import description, served
from tfnn.cli.interruptible import trained
from tfnn.cli.pictures import write, write_examples
from tfnn.cli.run_folder import RunFolder, check_writable
from tfnn.cli.train import add_strategy, surroundings
from tfnn.data import imbalance
from tfnn.diagnose import interval
from tfnn.diagnose.accuracy import probabilities
from tfnn.diagnose.by_class import by_class, table

MOST_CLASSES = 100  # of a confusion matrix that can be looked at


def add_arguments(parser):
    add = parser.add_argument_group("data").add_argument
    add("--data", help="a folder, a .csv file or a name, see above")
    add("--labels", metavar="FILE", help="a text file with the name of a class on each line (default those found)")
    add("--skip-bad-images", action="store_true", help="go on without the unreadable images of a folder")
    add("--image-size", type=int, metavar="N", help="height and width (default the network's; of arrays their own)")
    add = parser.add_argument_group("model").add_argument
    add("--backbone", default="MobileNetV2", metavar="NAME", help="the network (default MobileNetV2)")
    add(
        "--weights",
        default="imagenet",
        metavar="W",
        help="imagenet, none, a file, the folder of a run, or a bundle of tfnn export --no-freeze --no-fold (default imagenet)",
    )
    add("--dropout", type=float, default=0.2, metavar="P", help="part of the features dropped in training (default 0.2)")
    add = parser.add_argument_group("training").add_argument
    add("--epochs", type=int, default=20, help="passes over the training part, all stages together (default 20)")
    add(
        "--unfreeze",
        metavar="N|all|E:N,...",
        help="train the last N stages with the head, for the second half of the epochs; or once E epochs are done, such as"
        " 10:1,15:all (default: by the number of images for each class; all from the start without weights)",
    )
    add("--batch-size", type=int, metavar="B", help="examples of one update (default 32, or all where there are fewer)")
    add("--optimizer", choices=transfer_recipe.OPTIMIZERS, default="adam", help="momentum of the others is 0.9 (default adam)")
    add("--learning-rate", type=float, metavar="η", help="of the head, falls as a cosine (default 0.001, without adam 0.01)")
    add(
        "--stage-decay",
        type=float,
        metavar="D",
        help="the k-th stage below the head learns at Dᵏ·η (default 1/2.6; 1 without weights)",
    )
    add("--class-weight", choices=("none", "balanced"), default="none", help="balanced: classes count alike (default none)")
    add("--seed", type=int, default=1, help="of initial weights and order: the same seed, the same weights (default 1)")
    add = parser.add_argument_group("features of the frozen network").add_argument
    add("--cache", default="memory", metavar="DIR", help="where they are kept: a folder, memory or none (default memory)")
    add("--cache-size", type=int, default=1000, metavar="MB", help="kept at most; the oldest make room (default 1000)")
    add("--copies", type=int, default=4, metavar="K", help="augmented ones of each image; 0: no cache then (default 4)")
    augmentation_options.add_arguments(parser.add_argument_group("augmentation").add_argument, asked=False)
    add = parser.add_argument_group("where").add_argument
    add_strategy(add)
    add("--out", metavar="DIR", help="the run's folder (default runs/DATA-BACKBONE-TIME)")
    add("--export", metavar="DIR", help="the folder that gets the next version of the exported model (default OUT/bundle)")
    add("--resume", metavar="DIR", help="go on with the run in this folder, which holds all other options")
    add("--demo", action="store_true", help="show what transfer is worth, on real digits, instead")


def run(options):
    if options.demo:
        from tfnn.cli import transfer_demo

        if others := sorted(resume.given_among(options.words, add_arguments).keys() - {"demo", "seed", "out"}):
            raise ValueError(f"--demo takes --seed and --out alone: leave out {', '.join(map(resume.option, others))}")
        return transfer_demo.run(options)
    options = resume.resumed(options, "transfer", add_arguments)
    known = checked(options)
    data = transfer_recipe.read(options, known)
    fill_in(options, data, known)
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = RunFolder(options.out or f"runs/{data.name}-{known.name}-{stamp}", resumed=bool(options.resume))
    if finished := folder.finished():
        print(f"the run in {folder.path} is finished\n{conclusion(folder.path, finished)}")
        return 0
    export_to = pathlib.Path(options.export or folder.path / "bundle")
    check_writable(export_to)
    with folder, distribute.strategy(options.strategy).scope():
        model = transfer_recipe.compiled_model(options, data)
        where = surroundings(model, "TensorFlow's choice of threads")
        print(introduction(options, data, model, known, where), flush=True)
        if not options.resume:
            folder.configure("transfer", options, description(data))
        result = where | fit(model, data, options, folder)
        result |= judged(model, data, options, folder.path) | {"bundle": None}
        folder.write("result.json", result)
        if not result["interrupted"]:
            result["bundle"] = str(tfnn.export(model, export_to, **served(description(data), result)))
            write_examples(data, folder.path / "examples")
            folder.write("result.json", result)
            shutil.rmtree(folder.checkpoints)
    print(conclusion(folder.path, result))
    return 130 if result["interrupted"] else 0


def checked(options):
    """What is known of the backbone. Fills in what does not depend on the data, and refuses before any image is read what
    would fail late, or not at all.
    """
    if not options.data:
        raise ValueError("--data is wanted: a folder with one sub-folder of images for each class (or --demo)")
    known = transfer.backbone(options.backbone)
    augmentation_options.fill_in(options)
    if options.learning_rate is None:
        options.learning_rate = 1e-3 if options.optimizer == "adam" else 1e-2
    if options.stage_decay is None:
        options.stage_decay = 1.0 if options.weights == "none" else 1 / 2.6
    check(options, known)
    transfer_recipe.find_weights(options, known)
    if options.unfreeze is not None and not hasattr(options, "plan"):
        options.plan = unfreezing.plan_of(options.unfreeze, options.epochs, len(known.stages))
    return known


def check(options, known):
    augmentation_options.check(options)
    least = known.minimum_size
    if options.image_size is not None and options.image_size < least:
        raise ValueError(f"--image-size {options.image_size}: {known.name} takes images of at least {least} × {least}")
    if options.epochs < 1:
        raise ValueError(f"--epochs {options.epochs} must be at least 1")
    if not 0 < options.learning_rate < math.inf:
        raise ValueError(f"--learning-rate {options.learning_rate:g} must be positive and finite")
    if not 0 < options.stage_decay <= 1:
        raise ValueError(f"--stage-decay {options.stage_decay:g} must be above 0 and at most 1")
    if not 0 <= options.dropout < 1:
        raise ValueError(f"--dropout {options.dropout:g} must be at least 0 and below 1")
    if options.cache_size < 1:
        raise ValueError(f"--cache-size {options.cache_size} must be at least 1 (MB)")
    if options.copies < 0:
        raise ValueError(f"--copies {options.copies} must not be negative")
    if not 0 <= options.seed < 2**31:
        raise ValueError(f"--seed {options.seed} must be in [0, 2**31)")
    if options.cache not in ("memory", "none"):
        check_writable(pathlib.Path(options.cache))


def fill_in(options, data, known):
    """The defaults that depend on the data: they must never be what makes a command fail."""
    rows = len(data.train.y)
    if options.batch_size is None:
        options.batch_size = min(32, rows)
    if not 1 <= options.batch_size <= rows:
        raise ValueError(f"--batch-size {options.batch_size} must be between 1 and the {rows} training examples")
    if not hasattr(options, "plan"):
        options.plan = unfreezing.advised(options, data, len(known.stages))


def fit(model, data, options, folder):
    checkpoint = tfnn.callbacks.Checkpoint(folder.checkpoints, max_to_keep=2)
    shown = "backbone", "weights", "optimizer", "batch_size", "learning_rate", "stage_decay", "dropout", "epochs", "seed"
    board = tfnn.callbacks.TensorBoard(folder.path / "logs", hparams={name: getattr(options, name) for name in shown})
    callbacks = [board, checkpoint]
    return trained(model, folder, lambda **how: transfer_recipe.train_stages(model, data, options, callbacks, **how))


def introduction(options, data, model, known, where):
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    sizes = ", ".join(f"{len(part.y)} {name}" for name, part in parts.items())
    weights = "weights at random" if options.weights == "none" else f"weights {options.weights}"
    return "\n".join(
        [
            f"tfnn {tfnn.__version__}, Keras {keras.__version__}, TensorFlow {tf.__version__}",
            f"data    {data.name}: {sizes}; images {'×'.join(map(str, data.image_shape))}",
            f"classes {imbalance(data)}{', weighted alike' if options.class_weight == 'balanced' else ''}",
            f"model   {known.name}, {model.count_params():,} parameters, {weights}",
            f"trained {unfreezing.words(options.plan, tuple(known.stages))}",
            f"batch   {options.batch_size}",
            f"device  {where['device']}, {where['threads']}",
        ]
    )


def judged(model, data, options, path):
    """What the test part says of the model, for JSON; the pictures of it are written to the run's folder."""
    test, names = data.test, data.class_names
    answers = probabilities(model, test, options.batch_size)
    matrix, rows = pictures.counts(test.y, answers), mistakes.worst_first(answers, test.y)
    share = 1 - len(rows) / len(test.y)
    if len(names) <= MOST_CLASSES:
        write(path / "confusion.png", tf.io.encode_png(pictures.confusion(matrix, names)[0]).numpy())
    mistakes.write_table(path / "mistakes.csv", rows, test, answers, names)
    (path / "mistakes.png").unlink(missing_ok=True)  # of a run that was interrupted
    if len(rows):
        write(path / "mistakes.png", tf.io.encode_png(mistakes.sheet(rows, test, answers, names)).numpy())
    return {
        "test_images": len(test.y),
        "test_accuracy": round(share, 6),
        "test_accuracy_interval": [round(bound, 6) for bound in interval(share, len(test.y))],
        "test_mistakes": len(rows),
        "classes": by_class(matrix, names),
    }


def conclusion(path, result):
    low, high = result["test_accuracy_interval"]
    validation = result["history"].get("val_accuracy")
    lines = ["interrupted; what was reached is kept" if result["interrupted"] else "done"]
    if validation:
        best = int(np.argmax(validation))
        lines.append(f"validation accuracy {validation[-1]:.2%}, at its best {validation[best]:.2%} after epoch {best + 1}")
    lines += [
        f"test accuracy {result['test_accuracy']:.2%} (95% interval {low:.2%} to {high:.2%}) on {result['test_images']} images",
        table(result["classes"]),
    ]
    if len(result["classes"]) <= MOST_CLASSES:
        lines.append(f"confusion matrix {path / 'confusion.png'}")
    if result["test_mistakes"]:
        lines.append(f"worst mistakes   {path / 'mistakes.png'}; all {result['test_mistakes']} in mistakes.csv")
    traces = result["traces"]
    lines += [
        f"{result['train_seconds']} s, {result['updates']} updates, {traces} trace{'s' * (traces != 1)}",
        *next_steps.of_run("transfer", path, result),
    ]
    return "\n".join(lines)
