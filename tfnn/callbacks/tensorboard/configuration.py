"""Writes the configuration of a run as text."""

import platform

import keras
import tensorflow as tf

from tfnn.callbacks.tensorboard.events import table
from tfnn.version import __version__


def write(events, model, settings):
    """Writes optimizer, settings of the run, model and versions, each as a separate text."""
    versions = {"tfnn": __version__, "keras": keras.__version__, "tensorflow": tf.__version__}
    texts = {
        "optimizer": table({"class": type(model.optimizer).__name__, **model.optimizer.get_config()}),
        "fit": table(settings),
        "versions": table(versions | {"python": platform.python_version()}),
    }
    if model.built:
        lines = []
        model.summary(print_fn=lambda line, **_: lines.append(line), line_length=100)
        texts["model"] = "\n".join(["```", *lines, "```"])
    for name, text in texts.items():
        events.text(f"configuration/{name}", text, events.begun)
