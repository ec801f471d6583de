"""Layers (lecture, sections 6 and 8): standardise, normalise, connect."""

from tfnn.layers.batch_normalization import BatchNormalization
from tfnn.layers.residual import ResidualBlock
from tfnn.layers.standardize import Standardize
