"""Runs the tests with other versions of Keras and TensorFlow, each pair in a virtual environment of its own.

python -m tests.versions                                 the default tests with every pair
python -m tests.versions colab oldest --smoke            a part of them, at most ten minutes for each on two cores
python -m tests.versions newest -- tests/optimizers -x   what stands behind `--` is pytest's

Environments are kept in `.venvs`, and made anew where `setup.cfg` or the table below has changed.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[1]
PYTHONS = "3.13", "3.12", "3.11"

# {name: (Python, packages)}
PAIRS = {
    # what Colab's runtime held in August 2026, as far as tfnn and its tests come across it
    "colab": (
        "3.13",
        "keras==3.13.2 tensorflow==2.20.0 tensorboard==2.20.0 numpy==2.1.3 protobuf==5.29.6 setuptools==75.2.0 h5py==3.16.0"
        " ml_dtypes==0.6.0 absl-py==1.4.0 optree==0.19.1 grpcio==1.83.0 scipy==1.16.3 scikit-learn==1.6.1 matplotlib==3.10.0"
        " pillow==11.3.0 ipykernel==6.17.1 ipython==7.34.0",
    ),
    # TensorBoard 2.20 imports pkg_resources, which setuptools 82 dropped
    "oldest": ("3.12", "keras==3.12.0 tensorflow==2.20.0 tensorboard==2.20.0 numpy==2.1.0 setuptools==81.0.0"),
    "middle": ("3.11", "keras==3.14.1 tensorflow==2.21.0"),
    "newest": ("3.13", "keras==3.15.1 tensorflow==2.21.0"),
}

# Of each folder what covers most in little time.
SMOKE = [
    "tests/callbacks/test_plateau.py",
    "tests/cli/test_lr_find.py",
    "tests/data/test_loaders.py",
    "tests/diagnose/test_verdict.py",
    "tests/initializers/test_as_in_keras.py",
    "tests/initializers/test_fans.py",
    "tests/layers/test_batch_normalization.py",
    "tests/models/test_models.py",
    "tests/optimizers/test_base.py",
    "tests/schedules/test_schedules.py",
    "tests/serving/test_kinds.py",
    "tests/test_import.py",
    "tests/test_internals.py",
    "tests/training/test_fit.py",
    "tests/training/test_parity.py",
    "tests/training/test_state.py",
    "tests/transfer/test_unfreeze.py",
]

FOUND = """
import importlib.metadata, platform
found = [f"{name} {importlib.metadata.version(name)}" for name in ("keras", "tensorflow", "numpy", "protobuf")]
print(f"Python {platform.python_version()},", ", ".join(found))
"""


class Failure(Exception):
    pass


def main():
    arguments = parsed()
    failed = [name for name in arguments.pairs or PAIRS if not passes(name, arguments)]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def parsed():
    words, rest = behind_dashes(sys.argv[1:])
    pairs = "\n".join(f"{name}: Python {python}, {packages}" for name, (python, packages) in PAIRS.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.versions",
        description=f"{__doc__}\n{pairs}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pairs", nargs="*", metavar="PAIR", help=f"one of {', '.join(PAIRS)}; with none all of them")
    parser.add_argument("--smoke", action="store_true", help="train, export, and some files of each folder of tests")
    arguments = parser.parse_args(words)
    if unknown := set(arguments.pairs) - set(PAIRS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(PAIRS)}")
    arguments.pytest = rest
    return arguments


def behind_dashes(words):
    """The words before the first `--`, and those behind it."""
    if "--" not in words:
        return words, []
    place = words.index("--")
    return words[:place], words[place + 1 :]


def passes(name, arguments):
    """Whether what was asked for passes with a pair."""
    try:
        python = environment(name)
        say(name, output([python, "-c", FOUND]).strip())
        if arguments.smoke:
            train(python)
        files = SMOKE if arguments.smoke else []
        run([python, "-m", "pytest", "-n", "2", "--dist", "loadfile", "-rs", *files, *arguments.pytest])
    except Failure as failure:
        say(name, f"failed: {failure}")
        return False
    say(name, "passed")
    return True


def train(python):
    """The README's first command: it trains, exports, and compares the answers of what it exported."""
    with tempfile.TemporaryDirectory() as folder:
        run([python.with_name("tfnn"), "train", "--out", pathlib.Path(folder, "run")])


def say(name, line):
    print(f"--- {name}: {line}", flush=True)


# Commands ------------------------------------------------------------------------------------------------------------


def run(command):
    code = subprocess.run(command, cwd=ROOT).returncode
    if code:
        raise Failure(f"{' '.join(map(str, command))} gave {code}")


def output(command):
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


# Environments --------------------------------------------------------------------------------------------------------


def environment(name):
    """The Python of an environment with what the pair names, tfnn, and what its tests need."""
    version, packages = PAIRS[name]
    folder = ROOT / ".venvs" / name
    python, note = folder / "bin" / "python", folder / "made_of.txt"
    made_of = f"{version} {packages} {ROOT}\n{(ROOT / 'setup.cfg').read_text()}"
    if note.exists() and note.read_text() == made_of:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    run([interpreter(name, version), "-m", "venv", folder])
    pip = [python, "-m", "pip"]
    run([*pip, "install", "--quiet", *packages.split()])
    before = set(output([*pip, "freeze", "--all"]).split("\n"))
    run([*pip, "install", "--quiet", "--editable", "."])
    if changed := before - set(output([*pip, "freeze", "--all"]).split("\n")):
        raise Failure(f"installing tfnn changed {', '.join(sorted(changed))}")
    run([*pip, "install", "--quiet", "--editable", ".[test]"])
    note.write_text(made_of)
    return python


def interpreter(name, version):
    """The path of that Python, or else of another that tfnn supports."""
    for instead in (version, *PYTHONS):
        for path in candidates(instead):
            if output([path, "-c", "import ensurepip, platform; print(platform.python_version())"]).startswith(f"{instead}."):
                if instead != version:
                    say(name, f"Python {version} is not installed, {instead} stands in for it")
                return path
    raise Failure(f"none of Python {', '.join(PYTHONS)} is installed with its module `venv`")


def candidates(version):
    """Where a Python of that version may be: on the path, or in pyenv's folder."""
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv"))
    on_path = shutil.which(f"python{version}")
    return [sys.executable, *([on_path] if on_path else []), *pyenv.glob(f"versions/{version}.*/bin/python")]


if __name__ == "__main__":
    main()
