"""Callbacks that steer a run (lecture, section 4), save it, and record it."""

from tfnn.callbacks.batch_size_scheduler import BatchSizeScheduler
from tfnn.callbacks.checkpoint import Checkpoint
from tfnn.callbacks.grow_batch_by_noise import GrowBatchByNoise
from tfnn.callbacks.grow_batch_on_plateau import GrowBatchOnPlateau
from tfnn.callbacks.learning_rate_scheduler import LearningRateScheduler
from tfnn.callbacks.noise_scale import NoiseScale
from tfnn.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from tfnn.callbacks.swap_decay_for_growth import SwapDecayForGrowth
from tfnn.callbacks.tensorboard import TensorBoard
