"""Train an image classifier and export it; without arguments, on real handwritten digits.

DATA is one of digits, mnist, fashion_mnist, cifar10, cifar100 (all but digits are downloaded once), a .npz file with
x_train, y_train, x_test, y_test, or a folder with one sub-folder of images for each class.

A run that was killed goes on with --resume, to the last bit of the weights that it would have reached.
"""

import datetime
import math
import pathlib
import shutil

import keras
import tensorflow as tf

import tfnn
from tfnn import distribute
from tfnn.cli import next_steps, recipe, resume
from tfnn.cli.export import description, served
from tfnn.cli.interruptible import trained
from tfnn.cli.pictures import write_examples
from tfnn.cli.run_folder import RunFolder, check_writable
from tfnn.cli.threads import intra_op_threads
from tfnn.data import load
from tfnn.diagnose import accuracy, interval

IN_MEMORY = 2**31  # bytes of pixels; images that are more stay in their files


def add_arguments(parser):
    add_data_and_model(parser)
    add = parser.add_argument_group("training").add_argument
    add("--epochs", type=int, default=30, help="passes over the training part (default 30)")
    add_update(add)
    add(
        "--grow-batch",
        type=growth,
        metavar="E:B,...",
        help="once E epochs are done, batches of B; 'none' keeps the first size (default: twice the size after"
        " 53%% of the epochs, four times after 77%%)",
    )
    add("--learning-rate", type=float, default=0.2, metavar="η", help="the rate that the cosine begins with (default 0.2)")
    add("--warmup", type=float, metavar="EPOCHS", help="linear warm-up (default 2, or a fifth of the epochs)")
    add = parser.add_argument_group("where").add_argument
    add_strategy(add)
    add("--out", metavar="DIR", help="the run's folder (default runs/DATA-MODEL-TIME)")
    add("--export", metavar="DIR", help="the folder that gets the next version of the exported model (default OUT/bundle)")
    add("--resume", metavar="DIR", help="go on with the run in this folder, which holds all other options")


def add_data_and_model(parser):
    add = parser.add_argument_group("data and model").add_argument
    add("--data", default="digits", help="a name or a path, see above (default digits)")
    add("--skip-bad-images", action="store_true", help="go on without the unreadable images of a folder")
    add("--model", default="resnet", help="resnet, mlp, or a .keras file to go on from (default resnet)")
    add("--depth", type=int, default=8, help="layers of the resnet, 6n + 2 (default 8)")
    add("--width", type=int, default=20, help="channels of the resnet's first stage (default 20)")


def add_update(add):
    """What an update depends on but for its learning rate."""
    add("--batch-size", type=int, default=32, metavar="B", help="examples of one update at the start (default 32)")
    add("--l2", type=float, default=1e-3, metavar="λ", help="the loss is mean(l) + λ Σ w² over all kernels (default 0.001)")
    add("--optimizer", choices=recipe.OPTIMIZERS, default="nesterov", help="momentum is 0.9 (default nesterov)")
    add("--seed", type=int, default=1, help="of initial weights and order: the same seed, the same weights (default 1)")


def add_strategy(add):
    add(
        "--strategy",
        choices=distribute.NAMES,
        default="auto",
        help="the device (default auto: a TPU, else a GPU, else the CPU)",
    )


def growth(text):
    """'10:64,20:128' as {10: 64, 20: 128}."""
    if text == "none":
        return {}
    return {int(epoch): int(size) for epoch, size in (step.split(":") for step in text.split(","))}


def run(options):
    options = resume.resumed(options, "train", add_arguments)
    data = read(options)
    fill_in(options, len(data.train.y))
    check(options, data)
    threads = set_threads(options, data)
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    path = options.out or f"runs/{data.name}-{pathlib.Path(options.model).stem}-{stamp}"
    folder = RunFolder(path, resumed=bool(options.resume))
    if finished := folder.finished():  # 0: what starts a command again until it succeeds is to stop
        print(f"the run in {folder.path} is finished\n{conclusion(folder.path, finished, len(data.test.y))}")
        return 0
    export_to = pathlib.Path(options.export or folder.path / "bundle")
    check_writable(export_to)
    with folder, distribute.strategy(options.strategy).scope():
        model = recipe.compiled_model(options, data)
        where = surroundings(model, threads)
        print(introduction(options, data, model, where), flush=True)
        if not options.resume:
            folder.configure("train", options, description(data))
        result = where | fit(model, data, options, folder)
        result |= test_result(model, data) | {"bundle": None}
        folder.write("result.json", result)
        if not result["interrupted"]:
            result["bundle"] = str(tfnn.export(model, export_to, **served(description(data), result)))
            write_examples(data, folder.path / "examples")
            folder.write("result.json", result)
            shutil.rmtree(folder.checkpoints)
    print(conclusion(folder.path, result, len(data.test.y)))
    return 130 if result["interrupted"] else 0


def fit(model, data, options, folder):
    checkpoint = tfnn.callbacks.Checkpoint(folder.checkpoints, max_to_keep=2)
    shown = "model", "optimizer", "batch_size", "learning_rate", "warmup", "l2", "epochs", "seed"
    board = tfnn.callbacks.TensorBoard(
        folder.path / "logs",
        confusion_freq=max(1, options.epochs // 10),
        image_freq=max(1, options.epochs // 3),
        class_names=data.class_names,
        hparams={name: getattr(options, name) for name in shown},
    )
    return trained(model, folder, lambda **how: recipe.train(model, data, options, [board, checkpoint], **how))


def read(options, **of_files):
    try:
        return load(options.data, skip_bad_images=options.skip_bad_images, stream=IN_MEMORY, **of_files)
    except ValueError as error:
        raise ValueError(str(error).replace("skip_bad_images=True", "--skip-bad-images")) from None


def fill_in(options, rows):
    """The defaults that depend on others: they must never be what makes a command fail."""
    if options.warmup is None:
        options.warmup = min(2, options.epochs / 5)
    if options.grow_batch is None:
        plan = {round(0.53 * options.epochs): 2 * options.batch_size, round(0.77 * options.epochs): 4 * options.batch_size}
        options.grow_batch = {epoch: size for epoch, size in plan.items() if 0 < epoch < options.epochs and size <= rows}


def check(options, data):
    """What would fail late, or not at all."""
    rows = len(data.train.y)
    if options.epochs < 1:
        raise ValueError(f"--epochs {options.epochs} must be at least 1")
    check_model(options, data)
    if not 0 <= options.warmup < options.epochs:
        raise ValueError(f"--warmup {options.warmup:g} must be at least 0 and below --epochs {options.epochs}")
    if not 0 < options.learning_rate < math.inf:
        raise ValueError(f"--learning-rate {options.learning_rate:g} must be positive and finite")
    for epoch, size in options.grow_batch.items():
        if not 0 <= epoch < options.epochs:
            most = options.epochs - 1
            raise ValueError(f"--grow-batch {epoch}:{size}: a run of {most + 1} epochs takes 0 to {most} before a colon")
        if not options.batch_size <= size <= rows:
            raise ValueError(
                f"--grow-batch {epoch}:{size}: the size must be between --batch-size {options.batch_size} and the {rows}"
                " training examples"
            )


def check_model(options, data):
    rows = len(data.train.y)
    if data.image_shape[-1] not in (1, 3):
        raise ValueError(f"--data {options.data}: images have {data.image_shape[-1]} channels; wanted are 1 (grey) or 3 (RGB)")
    if not 1 <= options.batch_size <= rows:
        raise ValueError(f"--batch-size {options.batch_size} must be between 1 and the {rows} training examples")
    if not 0 <= options.l2 < math.inf:
        raise ValueError(f"--l2 {options.l2:g} must not be negative, nor infinite")
    if not 0 <= options.seed < 2**31:
        raise ValueError(f"--seed {options.seed} must be in [0, 2**31)")


def set_threads(options, data):
    """Applies the rule for convolutions where TensorFlow has not started yet, which decoding images does. Gives words."""
    threads = 0 if options.model == "mlp" else intra_op_threads(options.batch_size, data.image_shape)
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    except RuntimeError:
        threads = 0
    return "one thread for each operation (small convolutions)" if threads == 1 else "TensorFlow's choice of threads"


def surroundings(model, threads):
    """Where and how the run takes place; it belongs to the result, whose last bits depend on it."""
    return {"device": distribute.device_type(model.distribute_strategy), "threads": threads}


def introduction(options, data, model, where):
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    sizes = ", ".join(f"{len(part.y)} {name}" for name, part in parts.items())
    grown = "".join(f", {size} from epoch {epoch + 1}" for epoch, size in sorted(options.grow_batch.items()))
    return "\n".join(
        [
            f"tfnn {tfnn.__version__}, Keras {keras.__version__}, TensorFlow {tf.__version__}",
            f"data    {data.name}: {sizes}; images {'×'.join(map(str, data.image_shape))}, {len(data.class_names)} classes",
            f"model   {model.name}, {model.count_params():,} parameters",
            f"batch   {options.batch_size}{grown}",
            f"device  {where['device']}, {where['threads']}",
        ]
    )


def test_result(model, data):
    share = accuracy(model, data.test)
    low, high = interval(share, len(data.test.y))
    return {"test_accuracy": round(share, 6), "test_accuracy_interval": [round(low, 6), round(high, 6)]}


def conclusion(path, result, n):
    low, high = result["test_accuracy_interval"]
    traces, sizes = result["traces"], ", ".join(map(str, dict.fromkeys(result["batch_sizes"])))
    lines = [
        "interrupted; what was reached is kept" if result["interrupted"] else "done",
        f"test accuracy {result['test_accuracy']:.2%} (95% interval {low:.2%} to {high:.2%}) on {n} images",
        f"{result['train_seconds']} s, {result['updates']} updates, {traces} trace{'s' * (traces != 1)}, batch sizes {sizes}",
        *next_steps.of_run("train", path, result),
    ]
    return "\n".join(lines)
