"""What to type next, so that it works from where the user stands."""

import pathlib
import shlex
import shutil
import sys


def of_run(made_by, path, result):
    """Where the parts of a run lie and what can be done with them, for the end of what the command `made_by` prints."""
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
    """What to type for a program of this environment: its name where the shell finds it, else its path, else the module."""
    script = pathlib.Path(sys.executable).with_name(name)
    found = shutil.which(name)
    if found and script.exists() and pathlib.Path(found).samefile(script):
        return name
    if script.exists():
        near = script.is_relative_to(pathlib.Path.cwd())
        return shlex.quote(str(script.relative_to(pathlib.Path.cwd()) if near else script))
    return f"{shlex.quote(sys.executable)} -m {module}"
