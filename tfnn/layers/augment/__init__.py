"""Augmentation (lecture, section 7): more images out of few."""

from tfnn.layers.augment.augment import Augment
from tfnn.layers.augment.cutmix import CutMix
from tfnn.layers.augment.flip import RandomFlip
from tfnn.layers.augment.mixup import MixUp
from tfnn.layers.augment.rotation import RandomRotation
from tfnn.layers.augment.translation import RandomTranslation
from tfnn.layers.augment.zoom import RandomZoom
