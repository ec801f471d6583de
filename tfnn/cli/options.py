"""Options that several commands take, and what their values must satisfy."""

import math

from tfnn import distribute
from tfnn.cli import recipe


def add_data(add):
    add("--data", default="digits", help="a name or a path, see above (default digits)")
    add("--skip-bad-images", action="store_true", help="leave out the unreadable images of a folder and go on")


def add_model(add):
    add("--model", default="resnet", help="resnet, mlp, or a .keras file to go on from (default resnet)")
    add("--depth", type=int, default=8, help="layers of the resnet, 6n + 2 (default 8)")
    add("--width", type=int, default=20, help="channels of the resnet's first stage (default 20)")


def add_update(add):
    """Adds all that an update depends on, except for its learning rate."""
    add("--batch-size", type=int, default=32, metavar="B", help="examples of an update at the start (default 32)")
    add("--l2", type=float, default=1e-3, metavar="λ", help="the loss is mean(l) + λ Σ w² over all kernels (default 0.001)")
    add("--optimizer", choices=recipe.OPTIMIZERS, default="nesterov", help="momentum is 0.9 (default nesterov)")
    add_seed(add)


def add_seed(add):
    add("--seed", type=int, default=1, help="sets initial weights and order: the same seed, the same weights (default 1)")


def add_strategy(add):
    words = "the device (default auto: a TPU if there is one, else a GPU, else the CPU)"
    add("--strategy", choices=distribute.NAMES, default="auto", help=words)


def add_run(add, default):
    """Adds the options of `session.run`.

    Args:
        default: the folder of a run where none is given, in words.
    """
    add_strategy(add)
    add("--out", metavar="DIR", help=f"the run's folder (default {default})")
    add("--export", metavar="DIR", help="the folder that gets the next version of the exported model (default OUT/bundle)")
    add("--resume", metavar="DIR", help="go on with the run in this folder, which holds all other options")


def as_typed(name):
    """The option of a name in the parsed options: "batch_size" is --batch-size."""
    return f"--{name.replace('_', '-')}"


def check_training(options):
    if options.epochs < 1:
        raise ValueError(f"--epochs {options.epochs} must be at least 1")
    if not 0 < options.learning_rate < math.inf:
        raise ValueError(f"--learning-rate {options.learning_rate:g} must be positive and finite")
    check_seed(options)


def check_update(options, rows):
    check_batch_size(options.batch_size, rows)
    if not 0 <= options.l2 < math.inf:
        raise ValueError(f"--l2 {options.l2:g} must not be negative, nor infinite")
    check_seed(options)


def check_batch_size(size, rows):
    if not 1 <= size <= rows:
        raise ValueError(f"--batch-size {size} must be between 1 and the {rows} training examples")


def check_seed(options):
    if not 0 <= options.seed < 2**31:
        raise ValueError(f"--seed {options.seed} must be in [0, 2**31)")
