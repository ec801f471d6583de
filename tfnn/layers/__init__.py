"""Layers (lecture, sections 6 to 8): standardise, normalise, augment, connect."""

from tfnn.layers import augment
from tfnn.layers.augment import (
    Augment,
    CutMix,
    MixUp,
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomErasing,
    RandomFlip,
    RandomGaussianNoise,
    RandomHue,
    RandomResizedCrop,
    RandomRotation,
    RandomSaturation,
    RandomShear,
    RandomTranslation,
    RandomZoom,
)
from tfnn.layers.batch_normalization import BatchNormalization
from tfnn.layers.dropout import Dropout, GaussianDropout, SpatialDropout
from tfnn.layers.preactivation import PreactivationBlock
from tfnn.layers.recalibrate_batch_norm import recalibrate_batch_norm
from tfnn.layers.residual import ResidualBlock
from tfnn.layers.standardize import Standardize
