"""From a trained model to a SavedModel that answers without Keras, and back."""

from tfnn.serving.bundle import Bundle, newest
from tfnn.serving.export import export
from tfnn.serving.fold_batchnorm import fold_batchnorm
from tfnn.serving.manifest import verified
