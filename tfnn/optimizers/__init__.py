"""Optimizers (lecture, section 5): the update rule first, TensorFlow's fused kernel where there is one."""

from tfnn.optimizers.base import Optimizer
from tfnn.optimizers.sgd import SGD
