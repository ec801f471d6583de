"""Runs before all other imports: it reports what is missing, and keeps the command line quiet while TensorFlow loads."""

import importlib.metadata
import importlib.util
import json
import os
import pathlib
import signal
import sys
import warnings

DISTRIBUTIONS = "tensorflow", "tensorflow-tpu", "tensorflow-cpu"
OLDEST = (2, 20)
TENSORFLOW_READ = "2.20 and 2.21"
OLDEST_KERAS, NEWEST_KERAS = (3, 12), (3, 15)
KERAS_READ = "3.12 to 3.15"  # whose private parts `tfnn.internals` was written for
COMMAND_LINE = pathlib.Path(sys.argv[0]).name == "tfnn" or sys.orig_argv[1:3] == ["-m", "tfnn"]


def begin():
    """Raises ImportError if TensorFlow or Keras is missing or too old, or if Keras is configured for another backend.

    The package is imported before the code of its command can run, so what the command needs at import is done here, too.
    """
    if COMMAND_LINE:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # there is nothing to save yet; later `main` handles it
    if importlib.util.find_spec("tensorflow") is None:
        refuse('tfnn needs TensorFlow, which is missing. Type: pip install "tfnn[cpu]" (or tfnn[gpu], tfnn[tpu])')
    for name in DISTRIBUTIONS:
        version = installed_version(name)
        if version and minor(version) < OLDEST:
            refuse(f'tfnn needs TensorFlow 2.20 or 2.21, found {name} {version}. Type: pip install -U "tfnn[cpu]"')
    check_keras(installed_version("keras"))
    if configured_backend() != "tensorflow":
        refuse(
            f"tfnn runs on Keras's TensorFlow backend, but {configured_backend()} is configured."
            " Type: export KERAS_BACKEND=tensorflow (in Python, before keras is imported:"
            ' os.environ["KERAS_BACKEND"] = "tensorflow")'
        )
    if COMMAND_LINE:
        import_quietly()


def check_keras(version):
    """Refuses a Keras that is too old, and warns of one that is newer than those that tfnn was written for."""
    if version is None:  # a nightly build under another name, or no Keras, which the imports will report
        return
    if minor(version) < OLDEST_KERAS:
        refuse(f"tfnn needs Keras 3.12 or later, found {version}. Type: pip install -U keras")
    if minor(version) > NEWEST_KERAS:
        warnings.warn(
            f"tfnn was read against Keras {KERAS_READ}, found {version}: what changed in its private parts fails where it is"
            " asked for",
            stacklevel=2,
        )


def minor(version):
    return tuple(map(int, version.split(".")[:2]))


def refuse(message):
    """Raises ImportError; on the command line it prints one line and exits with code 2."""
    if COMMAND_LINE:
        print(f"tfnn: error: {message}", file=sys.stderr)
        sys.exit(2)
    raise ImportError(message)


def import_quietly():
    """Imports TensorFlow without its standard error, to which it writes while it loads, before it reads any setting."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        importlib.import_module("tensorflow")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def installed_version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def configured_backend():
    """Keras's backend, found as Keras does, but without importing Keras: that fails if the backend is not installed."""
    if "keras" in sys.modules:
        return sys.modules["keras"].config.backend()
    settings = pathlib.Path(os.environ.get("KERAS_HOME", pathlib.Path.home() / ".keras"), "keras.json")
    try:
        stored = json.loads(settings.read_text()).get("backend")
    except (OSError, ValueError):  # Keras ignores a file that is missing or damaged
        stored = None
    return os.environ.get("KERAS_BACKEND") or stored or "tensorflow"
