"""Exports a trained model as a SavedModel that answers without Keras, and loads it."""

from tfnn.serving.bundle import Bundle, newest
from tfnn.serving.export import export
from tfnn.serving.fold_batchnorm import fold_batchnorm
from tfnn.serving.manifest import verified
