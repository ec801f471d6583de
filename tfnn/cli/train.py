"""Train an image classifier and export it; without arguments, on real handwritten digits.

DATA is one of digits, mnist, fashion_mnist, cifar10, cifar100 (all but digits are downloaded once), a .npz file with
x_train, y_train, x_test, y_test, or a folder with one sub-folder of images for each class.
"""

import datetime
import os
import pathlib
import shlex
import shutil
import sys
import time

import keras
import numpy as np
import tensorflow as tf

import tfnn
from tfnn import distribute
from tfnn.cli import recipe
from tfnn.cli.run_folder import RunFolder, check_writable
from tfnn.data import load
from tfnn.training.threads import intra_op_threads
from tfnn.training.xla import choose_jit


def add_arguments(parser):
    add = parser.add_argument_group("data and model").add_argument
    add("--data", default="digits", help="a name or a path, see above (default digits)")
    add("--skip-bad-images", action="store_true", help="go on without the unreadable images of a folder")
    add("--model", default="resnet", help="resnet, mlp, or a .keras file to go on from (default resnet)")
    add("--depth", type=int, default=8, help="layers of the resnet, 6n + 2 (default 8)")
    add("--width", type=int, default=20, help="channels of the resnet's first stage (default 20)")
    add = parser.add_argument_group("training").add_argument
    add("--epochs", type=int, default=30, help="passes over the training part (default 30)")
    add("--batch-size", type=int, default=32, metavar="B", help="examples of one update at the start (default 32)")
    add(
        "--grow-batch",
        type=growth,
        default="16:64,23:128",
        metavar="E:B,...",
        help="from epoch E (the first is 0) on, batches of B; 'none' keeps the first size (default 16:64,23:128)",
    )
    add("--learning-rate", type=float, default=0.2, metavar="η", help="the peak of the rate (default 0.2)")
    add("--warmup", type=float, default=2, metavar="EPOCHS", help="linear warm-up before the cosine (default 2)")
    add("--l2", type=float, default=1e-3, metavar="λ", help="of the loss Σ l + λ|θ|² (default 0.001)")
    add("--optimizer", choices=recipe.OPTIMIZERS, default="nesterov", help="momentum is 0.9 (default nesterov)")
    add("--seed", type=int, default=1, help="of initial weights and order: the same seed, the same weights (default 1)")
    add = parser.add_argument_group("where").add_argument
    add(
        "--strategy",
        choices=distribute.NAMES,
        default="auto",
        help="the device (default auto: a TPU, else a GPU, else the CPU)",
    )
    add("--out", metavar="DIR", help="the run's folder (default runs/DATA-MODEL-TIME)")
    add("--export", metavar="DIR", help="the folder that gets the next version of the exported model (default OUT/bundle)")


def growth(text):
    """'10:64,20:128' as {10: 64, 20: 128}."""
    if text == "none":
        return {}
    return {int(epoch): int(size) for epoch, size in (step.split(":") for step in text.split(","))}


def run(options):
    data = load(options.data, skip_bad_images=options.skip_bad_images)
    check(options, len(data.train.y))
    threads = set_threads(options.batch_size, data.image_shape)
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = RunFolder(options.out or f"runs/{data.name}-{pathlib.Path(options.model).stem}-{stamp}")
    export_to = pathlib.Path(options.export or folder.path / "bundle")
    check_writable(export_to)
    with folder, distribute.strategy(options.strategy).scope():
        model = recipe.compiled_model(options, data)
        print(introduction(options, data, model, threads), flush=True)
        settings = {name: value for name, value in vars(options).items() if name != "run"}
        folder.write(
            "config.json", settings | {"tensorflow": tf.__version__, "keras": keras.__version__, "tfnn": tfnn.__version__}
        )
        tensorboard = keras.callbacks.TensorBoard(folder.path / "logs", write_graph=False)
        began, interrupted = time.perf_counter(), False
        try:
            history = recipe.train(model, data, options, [tensorboard], verbose=1 if sys.stdout.isatty() else 2)
        except KeyboardInterrupt:
            if not int(model.optimizer.iterations):
                raise
            history, interrupted = model.history, True
        result = {"train_seconds": round(time.perf_counter() - began, 2), "interrupted": interrupted}
        model.save(folder.path / "model.keras")
        folder.keep()
        result |= test_result(model, data) | run_result(model, history)
        if not interrupted:
            result["bundle"] = str(export(model, data, export_to))
            write_examples(data, folder.path / "examples")
        folder.write("result.json", result)
    print(conclusion(folder.path, result, len(data.test.y)))
    return 130 if interrupted else 0


def check(options, rows):
    """What would fail late, or not at all."""
    if options.epochs < 1:
        raise ValueError(f"--epochs {options.epochs} must be at least 1")
    if not 1 <= options.batch_size <= rows:
        raise ValueError(f"--batch-size {options.batch_size} must be between 1 and the {rows} training examples")
    if not 0 <= options.warmup < options.epochs:
        raise ValueError(f"--warmup {options.warmup:g} must be at least 0 and below --epochs {options.epochs}")
    if not options.learning_rate > 0:
        raise ValueError(f"--learning-rate {options.learning_rate:g} must be positive")
    if not options.l2 >= 0:
        raise ValueError(f"--l2 {options.l2:g} must not be negative")
    if not 0 <= options.seed < 2**31:
        raise ValueError(f"--seed {options.seed} must be in [0, 2**31)")
    for epoch, size in options.grow_batch.items():
        if not (epoch >= 0 and options.batch_size <= size <= rows):
            raise ValueError(
                f"--grow-batch {epoch}:{size}: the size must be between --batch-size {options.batch_size} and the {rows}"
                " training examples"
            )


def set_threads(batch_size, image_shape):
    """Applies the rule where TensorFlow has not started yet; decoding a folder of images starts it. Gives a description."""
    threads = intra_op_threads(batch_size, image_shape)
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    except RuntimeError:
        threads = 0
    return "one thread for each operation (small convolutions)" if threads == 1 else "TensorFlow's choice of threads"


def introduction(options, data, model, threads):
    devices = tf.config.list_logical_devices()
    device = next((d.device_type for kind in ("TPU", "GPU") for d in devices if d.device_type == kind), "CPU")
    device = options.strategy.upper() if options.strategy != "auto" else device
    jit, reason = choose_jit(model, "auto")
    grown = "".join(f", {size} from epoch {epoch}" for epoch, size in sorted(options.grow_batch.items()))
    parts = ", ".join(
        f"{len(part.y)} {name}" for name, part in (("train", data.train), ("validation", data.validation), ("test", data.test))
    )
    return "\n".join(
        [
            f"tfnn {tfnn.__version__}, Keras {keras.__version__}, TensorFlow {tf.__version__}",
            f"data    {data.name}: {parts}; images {'×'.join(map(str, data.image_shape))}, {len(data.class_names)} classes",
            f"model   {model.name}, {model.count_params():,} parameters",
            f"batch   {options.batch_size}{grown}",
            f"device  {device}, {threads}; XLA {'on' if jit else 'off'}: {reason}",
        ]
    )


def test_result(model, data):
    share = recipe.accuracy(model, data.test)
    low, high = recipe.interval(share, len(data.test.y))
    return {"test_accuracy": round(share, 6), "test_accuracy_interval": [round(low, 6), round(high, 6)]}


def run_result(model, history):
    """What `tfnn.fit` tells of a run, also of one that Ctrl-C ended."""
    return {
        "updates": history.updates,
        "traces": history.traces,
        "batch_sizes": history.batch_sizes,
        "history": {name: [float(value) for value in values] for name, values in history.history.items()},
    }


def export(model, data, directory):
    return tfnn.export(model, directory, labels=data.class_names, preprocess=data.from_pixels, prepare=data.prepare)


def write_examples(data, folder, side=96):
    """A test image of each class, at most ten, as PNG for `tfnn predict`, enlarged so that a person can see it."""
    folder.mkdir()
    low, high = data.value_range
    for label, name in enumerate(data.class_names[:10]):
        for image in data.test.x[data.test.y == label][:1]:
            grey = np.round((image.astype(np.float64) - low) * (255 / (high - low))).astype(np.uint8)
            zoom = max(1, side // max(grey.shape[:2]))
            png = tf.io.encode_png(grey.repeat(zoom, 0).repeat(zoom, 1))
            (folder / f"{name.replace('/', '-')}.png").write_bytes(png.numpy())
    return folder


def conclusion(path, result, n):
    low, high = result["test_accuracy_interval"]
    traces, sizes = result["traces"], ", ".join(map(str, dict.fromkeys(result["batch_sizes"])))
    command = lambda program, *words: f"  {program} {shlex.join(map(str, words))}"
    lines = [
        "interrupted; what was reached is kept" if result["interrupted"] else "done",
        f"test accuracy {result['test_accuracy']:.2%} (95% interval {low:.2%} to {high:.2%}) on {n} images",
        f"{result['train_seconds']} s, {result['updates']} updates, {traces} trace{'s' * (traces != 1)}, batch sizes {sizes}",
        f"run folder {path}: result.json, config.json, model.keras, logs/",
    ]
    if "bundle" in result:
        lines.append(f"exported model {result['bundle']}")
    lines += ["next:", command(program("tensorboard", "tensorboard.main"), "--logdir", path / "logs")]
    if "bundle" in result:
        predict = command(program("tfnn", "tfnn"), "predict", result["bundle"])
        lines.append(f"{predict} {shlex.quote(str(path / 'examples'))}/*.png")
    return "\n".join(lines)


def program(name, module):
    """What to type for a program of this environment: its name where the shell finds it, else its path, else the module."""
    script = pathlib.Path(sys.executable).with_name(name)
    found = shutil.which(name)
    if found and script.exists() and os.path.samefile(found, script):
        return name
    if script.exists():
        near = script.is_relative_to(pathlib.Path.cwd())
        return shlex.quote(str(script.relative_to(pathlib.Path.cwd()) if near else script))
    return f"{shlex.quote(sys.executable)} -m {module}"
