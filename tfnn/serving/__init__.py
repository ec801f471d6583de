"""From a trained model to a SavedModel that answers without Keras, and back."""

from tfnn.serving.bundle import Bundle
from tfnn.serving.export import export
from tfnn.serving.fold_batchnorm import fold_batchnorm
