"""Callbacks that steer a run (lecture, section 4), save it, and write it down."""

from tfnn.callbacks.batch_size_scheduler import BatchSizeScheduler
from tfnn.callbacks.checkpoint import Checkpoint
from tfnn.callbacks.tensorboard import TensorBoard
