"""The training recipe of the lecture "Neural networks: tips, tricks & software" as parts for Keras on TensorFlow."""

from tfnn import startup

startup.begin()  # before the imports below fail for want of TensorFlow, or find another backend

# ruff: noqa: E402
from tfnn import (
    callbacks,
    controls,
    data,
    diagnose,
    distribute,
    initializers,
    layers,
    models,
    optimizers,
    random,
    schedules,
    serving,
    training,
)
from tfnn.diagnose import find_learning_rate
from tfnn.serving import export
from tfnn.training import evaluate, fit, predict
from tfnn.version import __version__
