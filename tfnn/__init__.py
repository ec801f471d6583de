"""The training recipe of the lecture "Neural networks: tips, tricks & software" as parts for Keras on TensorFlow."""

from tfnn import requirements  # first, so that a missing TensorFlow is named before it is imported  # isort: skip
from tfnn import (
    callbacks,
    controls,
    data,
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
from tfnn.serving import export
from tfnn.training import fit
from tfnn.version import __version__
