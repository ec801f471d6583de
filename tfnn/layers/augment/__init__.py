"""Augmentation (lecture, section 7): more images out of few.

All layers act only with `training=True`, so `Dataset.map` has to pass it: `data.map(lambda x: augment(x, training=True))`.
Keras's own layers act unless told otherwise, which is why `model.export` can end up serving images that are turned at random.
Each image gets its own strengths; in a `tfnn.random.scope` they are a function of (seed, epoch, example).
"""

from tfnn.layers.augment.augment import Augment
from tfnn.layers.augment.brightness import RandomBrightness
from tfnn.layers.augment.contrast import RandomContrast
from tfnn.layers.augment.crop import RandomCrop
from tfnn.layers.augment.cutmix import CutMix
from tfnn.layers.augment.erasing import RandomErasing
from tfnn.layers.augment.flip import RandomFlip
from tfnn.layers.augment.gaussian_noise import RandomGaussianNoise
from tfnn.layers.augment.hue import RandomHue
from tfnn.layers.augment.mixup import MixUp
from tfnn.layers.augment.resized_crop import RandomResizedCrop
from tfnn.layers.augment.rotation import RandomRotation
from tfnn.layers.augment.saturation import RandomSaturation
from tfnn.layers.augment.shear import RandomShear
from tfnn.layers.augment.translation import RandomTranslation
from tfnn.layers.augment.zoom import RandomZoom
