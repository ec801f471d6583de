"""Callbacks that steer a run (lecture, section 4)."""

from tfnn.callbacks.batch_size_scheduler import BatchSizeScheduler
from tfnn.callbacks.checkpoint import Checkpoint
from tfnn.callbacks.grow_batch_by_noise import GrowBatchByNoise
from tfnn.callbacks.noise_scale import NoiseScale
