"""Train an image classifier and export it; without arguments, on real handwritten digits.

DATA is one of digits, mnist, fashion_mnist, cifar10, cifar100 (all but digits are downloaded once), a .npz file with
x_train, y_train, x_test, y_test, or a folder with one sub-folder of images for each class.

A run that was killed can be taken up again with --resume. It then reaches the same weights to the last bit.
"""

import pathlib

from tfnn.cli import options as shared
from tfnn.cli import recipe, resume, session
from tfnn.cli.reading import check_channels, read_data
from tfnn.cli.threads import set_threads
from tfnn.diagnose import accuracy, interval

SHOWN = "model", "optimizer", "batch_size", "learning_rate", "warmup", "l2", "epochs", "seed"  # by TensorBoard


def add_arguments(parser):
    add = parser.add_argument_group("data and model").add_argument
    shared.add_data(add)
    shared.add_model(add)
    add = parser.add_argument_group("training").add_argument
    add("--epochs", type=int, default=30, help="passes over the training part (default 30)")
    shared.add_update(add)
    add(
        "--grow-batch",
        type=growth,
        metavar="E:B,...",
        help="take batches of B once E epochs are done; 'none' keeps the first size (default: twice the size after 53%% of"
        " the epochs, four times after 77%%)",
    )
    add("--learning-rate", type=float, default=0.2, metavar="η", help="the rate at the start of the cosine (default 0.2)")
    add("--warmup", type=float, metavar="EPOCHS", help="linear warm-up (default 2, or a fifth of the epochs if that is less)")
    shared.add_run(parser.add_argument_group("where").add_argument, default="runs/DATA-MODEL-TIME")


def growth(text):
    """'10:64,20:128' as {10: 64, 20: 128}."""
    if text == "none":
        return {}
    return {int(epoch): int(size) for epoch, size in (step.split(":") for step in text.split(","))}


def run(options):
    options = resume.resumed(options, "train", add_arguments)
    data = read_data(options)
    fill_in(options, len(data.train.y))
    check(options, data)
    return session.run(Training(options, data))


def fill_in(options, rows):
    """Fills in the defaults that depend on other options: a default must never be what makes a command fail."""
    if options.warmup is None:
        options.warmup = min(2, options.epochs / 5)
    if options.grow_batch is None:
        plan = {round(0.53 * options.epochs): 2 * options.batch_size, round(0.77 * options.epochs): 4 * options.batch_size}
        options.grow_batch = {epoch: size for epoch, size in plan.items() if 0 < epoch < options.epochs and size <= rows}


def check(options, data):
    """Refuses what would fail late, or not at all."""
    rows = len(data.train.y)
    shared.check_training(options)
    check_channels(options, data)
    shared.check_update(options, rows)
    if not 0 <= options.warmup < options.epochs:
        raise ValueError(f"--warmup {options.warmup:g} must be at least 0 and below --epochs {options.epochs}")
    for epoch, size in options.grow_batch.items():
        if not 0 <= epoch < options.epochs:
            most = options.epochs - 1
            raise ValueError(f"--grow-batch {epoch}:{size}: a run of {most + 1} epochs takes 0 to {most} before a colon")
        if not options.batch_size <= size <= rows:
            raise ValueError(
                f"--grow-batch {epoch}:{size}: the size must be between --batch-size {options.batch_size} and the {rows}"
                " training examples"
            )


class Training:
    """The job of `tfnn train`, as `session` wants it."""

    command = "train"

    def __init__(self, options, data):
        self.options, self.data = options, data
        self.name = f"{data.name}-{pathlib.Path(options.model).stem}"
        self.threads = set_threads(recipe.threads(options, data))
        self.board = {
            "confusion_freq": max(1, options.epochs // 10),
            "image_freq": max(1, options.epochs // 3),
            "class_names": data.class_names,
            "hparams": {name: getattr(options, name) for name in SHOWN},
        }

    def model(self):
        return recipe.compiled_model(self.options, self.data)

    def introduction(self, model):
        grown = "".join(f", {size} from epoch {epoch + 1}" for epoch, size in sorted(self.options.grow_batch.items()))
        return [
            f"{session.data_line(self.data)}, {len(self.data.class_names)} classes",
            f"model   {model.name}, {model.count_params():,} parameters",
            f"batch   {self.options.batch_size}{grown}",
        ]

    def train(self, model, callbacks, verbose, resume):
        recipe.train(model, self.data, self.options, callbacks, verbose, resume)

    def judge(self, model, path):
        share = accuracy(model, self.data.test)
        low, high = interval(share, len(self.data.test.y))
        return {"test_accuracy": round(share, 6), "test_accuracy_interval": [round(low, 6), round(high, 6)]}

    def report(self, path, result):
        sizes = ", ".join(map(str, dict.fromkeys(result["batch_sizes"])))
        return [
            session.accuracy_line(result, len(self.data.test.y)),
            f"{session.effort_line(result)}, batch sizes {sizes}",
        ]
