"""What to type next, so that it works from where the user stands."""

import pathlib
import shlex
import shutil
import sys


def command(program, *words):
    """A line to copy, such as `  tfnn predict ...`."""
    return f"  {program} {shlex.join(map(str, words))}"


def tfnn(*words):
    return command(program("tfnn", "tfnn"), *words)


def tensorboard(logs):
    return command(program("tensorboard", "tensorboard.main"), "--logdir", logs)


def predict(bundle, examples):
    """Asks the bundle about the pictures in a folder."""
    return f"{tfnn('predict', bundle)} {shlex.quote(str(examples))}/*.png"


def program(name, module):
    """What to type for a program of this environment: its name where the shell finds it, else its path, else the module."""
    script = pathlib.Path(sys.executable).with_name(name)
    found = shutil.which(name)
    if found and script.exists() and pathlib.Path(found).samefile(script):
        return name
    if script.exists():
        near = script.is_relative_to(pathlib.Path.cwd())
        return shlex.quote(str(script.relative_to(pathlib.Path.cwd()) if near else script))
    return f"{shlex.quote(sys.executable)} -m {module}"
