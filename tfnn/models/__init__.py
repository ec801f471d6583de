"""Models for small images (lecture, section 8). Each is a plain function that returns a `keras.Model`."""

from tfnn.models.convnet import convnet
from tfnn.models.l2 import add_l2
from tfnn.models.mlp import mlp
from tfnn.models.resnet import resnet
