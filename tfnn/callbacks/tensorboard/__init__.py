"""TensorBoard (lecture, section 8)."""

from tfnn.callbacks.tensorboard.board import TensorBoard
