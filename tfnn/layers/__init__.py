"""Layers (lecture, sections 6 to 8): standardise, normalise, augment, connect."""

from tfnn.layers.augment import CutMix, MixUp
from tfnn.layers.batch_normalization import BatchNormalization
from tfnn.layers.residual import ResidualBlock
from tfnn.layers.standardize import Standardize
