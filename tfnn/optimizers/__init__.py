"""Optimizers (lecture, section 5). Each has a plain update rule, and runs in TensorFlow's fused kernel if there is one."""

from tfnn.optimizers.adagrad import Adagrad
from tfnn.optimizers.adam import Adam, AdamW
from tfnn.optimizers.base import Optimizer
from tfnn.optimizers.lamb import LAMB
from tfnn.optimizers.lars import LARS
from tfnn.optimizers.rmsprop import RMSprop
from tfnn.optimizers.sgd import SGD
