"""Augmentation (lecture, section 7): more images out of few."""

from tfnn.layers.augment.cutmix import CutMix
from tfnn.layers.augment.mixup import MixUp
