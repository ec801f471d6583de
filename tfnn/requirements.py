"""Says, before anything else is imported, what is missing and what to type."""

import importlib.util
import json
import os
import pathlib
import sys


def check():
    """Raises ImportError without TensorFlow, or where Keras is configured for another backend."""
    if importlib.util.find_spec("tensorflow") is None:
        raise ImportError(
            'tfnn needs TensorFlow, which is not installed. Type: pip install "tfnn[cpu]" (or tfnn[gpu], tfnn[tpu])'
        )
    if configured_backend() != "tensorflow":
        raise ImportError(
            f"tfnn runs on Keras's TensorFlow backend, but {configured_backend()} is configured."
            " Type: export KERAS_BACKEND=tensorflow (in Python, before keras is imported:"
            ' os.environ["KERAS_BACKEND"] = "tensorflow")'
        )


def configured_backend():
    """Keras's backend, found as Keras finds it, but without importing Keras, which fails where that backend is missing."""
    if "keras" in sys.modules:
        return sys.modules["keras"].config.backend()
    settings = pathlib.Path(os.environ.get("KERAS_HOME", pathlib.Path.home() / ".keras"), "keras.json")
    stored = json.loads(settings.read_text()).get("backend") if settings.is_file() else None
    return os.environ.get("KERAS_BACKEND") or stored or "tensorflow"
