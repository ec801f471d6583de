"""Says, before anything else is imported, what is missing and what to type."""

import importlib.util
import os

if importlib.util.find_spec("tensorflow") is None:
    raise ImportError('tfnn needs TensorFlow, which is not installed. Type: pip install "tfnn[cpu]" (or tfnn[gpu], tfnn[tpu])')

_BACKEND = (
    "tfnn runs on Keras's TensorFlow backend, but {} is configured. Type: export KERAS_BACKEND=tensorflow"
    ' (in Python, before keras is imported: os.environ["KERAS_BACKEND"] = "tensorflow")'
)
if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":  # importing keras may fail for want of that backend
    raise ImportError(_BACKEND.format(os.environ["KERAS_BACKEND"]))

import keras  # noqa: E402

if keras.config.backend() != "tensorflow":
    raise ImportError(_BACKEND.format(keras.config.backend()))
