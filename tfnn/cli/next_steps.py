"""The commands to type next, in a form that works from the folder in which the user is."""

import pathlib
import shlex
import shutil
import sys


def of_run(made_by, path, result):
    """Lines on where the parts of a run lie and how to go on, which the command `made_by` prints at its end."""
    lines = [f"run folder {path}: result.json, config.json, model.keras, logs/"]
    if result["bundle"]:
        lines.append(f"exported model {result['bundle']}")
    lines.append("next:")
    if result["interrupted"]:
        lines.append(command(program("tfnn", "tfnn"), made_by, "--resume", path))
    lines.append(command(program("tensorboard", "tensorboard.main"), "--logdir", path / "logs"))
    if result["bundle"]:
        examples = shlex.quote(str(path / "examples"))
        lines.append(f"{command(program('tfnn', 'tfnn'), 'predict', result['bundle'])} {examples}/*.png")
    return lines


def command(program, *words):
    """A line to copy, such as `  tfnn predict ...`."""
    return f"  {program} {shlex.join(map(str, words))}"


def program(name, module):
    """How to call a program of this environment: by its name if the shell finds it, else by its path, else as a module."""
    script = pathlib.Path(sys.executable).with_name(name)
    found = shutil.which(name)
    if found and script.exists() and pathlib.Path(found).samefile(script):
        return name
    if script.exists():
        near = script.is_relative_to(pathlib.Path.cwd())
        return shlex.quote(str(script.relative_to(pathlib.Path.cwd()) if near else script))
    return f"{shlex.quote(sys.executable)} -m {module}"
