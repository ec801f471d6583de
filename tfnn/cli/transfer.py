"""Train a classifier of your images on a network that has learnt from others, and export it.

DATA is a folder with one sub-folder of images for each class, a .csv file with the columns path and label, or what
tfnn train takes. The network is one of keras.applications (tfnn backbones lists them). Its weights are ImageNet's,
which are downloaded once, or those of a file or of an earlier run (--weights). First the head is trained
while the network is frozen, so that its features are computed only once. Then its last stages are trained together
with the head: the less data there is, the fewer stages.

A run that was killed can be taken up again with --resume. It then reaches the same weights to the last bit.
"""

import pathlib

import numpy as np

from tfnn import transfer
from tfnn.callbacks.tensorboard import pictures
from tfnn.cli import augmentation_options, mistakes, resume, session, transfer_recipe, unfreezing
from tfnn.cli import options as shared
from tfnn.cli.pictures import write_png
from tfnn.cli.run_folder import check_writable
from tfnn.cli.threads import CHOICE_OF_TENSORFLOW
from tfnn.data import imbalance
from tfnn.diagnose import interval
from tfnn.diagnose.accuracy import probabilities
from tfnn.diagnose.by_class import by_class, table

MOST_CLASSES = 100  # of a confusion matrix that can be looked at
SHOWN = "backbone", "weights", "optimizer", "batch_size", "learning_rate", "stage_decay", "dropout", "epochs", "seed"


def add_arguments(parser):
    add = parser.add_argument_group("data").add_argument
    add("--data", help="a folder, a .csv file or a name, see above")
    add("--labels", metavar="FILE", help="a text file with the name of a class on each line (default: the classes found)")
    add("--skip-bad-images", action="store_true", help="leave out the unreadable images of a folder and go on")
    add("--image-size", type=int, metavar="N", help="height and width (default the network's; arrays keep their own)")
    add = parser.add_argument_group("model").add_argument
    add("--backbone", default="MobileNetV2", metavar="NAME", help="the network (default MobileNetV2)")
    add(
        "--weights",
        default="imagenet",
        metavar="W",
        help="imagenet, none, a file, the folder of a run, or a bundle of tfnn export --no-freeze --no-fold (default imagenet)",
    )
    add("--dropout", type=float, default=0.2, metavar="P", help="share of the features dropped in training (default 0.2)")
    add_training(parser.add_argument_group("training").add_argument)
    add = parser.add_argument_group("features of the frozen network").add_argument
    add("--cache", default="memory", metavar="DIR", help="where they are kept: a folder, memory or none (default memory)")
    add("--cache-size", type=int, default=1000, metavar="MB", help="most that is kept; the oldest make room (default 1000)")
    add("--copies", type=int, default=4, metavar="K", help="augmented copies of each image; 0: no cache then (default 4)")
    augmentation_options.add_arguments(parser.add_argument_group("augmentation").add_argument, asked=False)
    add = parser.add_argument_group("where").add_argument
    shared.add_run(add, default="runs/DATA-BACKBONE-TIME")
    add("--demo", action="store_true", help="show instead, on real digits, what transfer is worth")


def add_training(add):
    add("--epochs", type=int, default=20, help="passes over the training part, all stages together (default 20)")
    add(
        "--unfreeze",
        metavar="N|all|E:N,...",
        help="train the last N stages with the head, for the second half of the epochs; or once E epochs are done, such as"
        " 10:1,15:all (default: by the number of images for each class; all from the start without weights)",
    )
    add("--batch-size", type=int, metavar="B", help="examples of an update (default 32, or all where there are fewer)")
    add("--optimizer", choices=transfer_recipe.OPTIMIZERS, default="adam", help="the others have momentum 0.9 (default adam)")
    add(
        "--learning-rate",
        type=float,
        metavar="η",
        help="the rate of the head, which falls as a cosine (default 0.001, or 0.01 without adam)",
    )
    add(
        "--stage-decay",
        type=float,
        metavar="D",
        help="the k-th stage below the head learns at Dᵏ·η (default 1/2.6; 1 without weights)",
    )
    add("--class-weight", choices=("none", "balanced"), default="none", help="balanced: classes count alike (default none)")
    shared.add_seed(add)


def run(options):
    if options.demo:
        from tfnn.cli import transfer_demo

        if others := sorted(resume.given_among(options.words, add_arguments).keys() - {"demo", "seed", "out"}):
            raise ValueError(f"--demo takes --seed and --out alone: leave out {', '.join(map(shared.as_typed, others))}")
        return transfer_demo.run(options)
    options = resume.resumed(options, "transfer", add_arguments)
    known = checked(options)
    data = transfer_recipe.read(options, known)
    fill_in(options, data, known)
    return session.run(Transfer(options, data, known))


def checked(options):
    """Fills in what does not depend on the data, and refuses, before any image is read, what would fail late or not at all.

    Returns:
        What is known of the backbone.
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
    shared.check_training(options)
    if not 0 < options.stage_decay <= 1:
        raise ValueError(f"--stage-decay {options.stage_decay:g} must be above 0 and at most 1")
    if not 0 <= options.dropout < 1:
        raise ValueError(f"--dropout {options.dropout:g} must be at least 0 and below 1")
    if options.cache_size < 1:
        raise ValueError(f"--cache-size {options.cache_size} must be at least 1 (MB)")
    if options.copies < 0:
        raise ValueError(f"--copies {options.copies} must not be negative")
    if options.cache not in ("memory", "none"):
        check_writable(pathlib.Path(options.cache))


def fill_in(options, data, known):
    """Fills in the defaults that depend on the data: a default must never be what makes a command fail."""
    rows = len(data.train.y)
    if options.batch_size is None:
        options.batch_size = min(32, rows)
    shared.check_batch_size(options.batch_size, rows)
    if not hasattr(options, "plan"):
        options.plan = unfreezing.advised(options, data, len(known.stages))


class Transfer:
    """The job of `tfnn transfer`, as `session` wants it."""

    command, threads = "transfer", CHOICE_OF_TENSORFLOW

    def __init__(self, options, data, known):
        self.options, self.data, self.known = options, data, known
        self.name = f"{data.name}-{known.name}"
        self.board = {"hparams": {name: getattr(options, name) for name in SHOWN}}

    def model(self):
        return transfer_recipe.compiled_model(self.options, self.data)

    def introduction(self, model):
        options = self.options
        weights = "weights at random" if options.weights == "none" else f"weights {options.weights}"
        return [
            session.data_line(self.data),
            f"classes {imbalance(self.data)}{', weighted alike' if options.class_weight == 'balanced' else ''}",
            f"model   {self.known.name}, {model.count_params():,} parameters, {weights}",
            f"trained {unfreezing.words(options.plan, tuple(self.known.stages))}",
            f"batch   {options.batch_size}",
        ]

    def train(self, model, callbacks, verbose, resume):
        transfer_recipe.train_stages(model, self.data, self.options, callbacks, verbose=verbose, resume=resume)

    def judge(self, model, path):
        test, names = self.data.test, self.data.class_names
        answers = probabilities(model, test, self.options.batch_size)
        matrix, rows = pictures.counts(test.y, answers), mistakes.worst_first(answers, test.y)
        share = 1 - len(rows) / len(test.y)
        if len(names) <= MOST_CLASSES:
            write_png(path / "confusion.png", pictures.confusion(matrix, names)[0])
        mistakes.write_table(path / "mistakes.csv", rows, test, answers, names)
        (path / "mistakes.png").unlink(missing_ok=True)  # of a run that was interrupted
        if len(rows):
            write_png(path / "mistakes.png", mistakes.sheet(rows, test, answers, names))
        return {
            "test_images": len(test.y),
            "test_accuracy": round(share, 6),
            "test_accuracy_interval": [round(bound, 6) for bound in interval(share, len(test.y))],
            "test_mistakes": len(rows),
            "classes": by_class(matrix, names),
        }

    def report(self, path, result):
        validation, lines = result["history"].get("val_accuracy"), []
        if validation:
            best = int(np.argmax(validation))
            last = f"validation accuracy {validation[-1]:.2%}"
            lines.append(f"{last}, at its best {validation[best]:.2%} after epoch {best + 1}")
        lines += [session.accuracy_line(result, result["test_images"]), table(result["classes"])]
        if len(result["classes"]) <= MOST_CLASSES:
            lines.append(f"confusion matrix {path / 'confusion.png'}")
        if result["test_mistakes"]:
            lines.append(f"worst mistakes   {path / 'mistakes.png'}; all {result['test_mistakes']} in mistakes.csv")
        return [*lines, session.effort_line(result)]
