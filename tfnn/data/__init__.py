"""Data sets of images, all as one small object, `Dataset`."""

from tfnn.data.archive import archive
from tfnn.data.balance import balanced_class_weight, imbalance
from tfnn.data.dataset import Dataset, Part
from tfnn.data.digits import digits
from tfnn.data.files import ImageFiles
from tfnn.data.folder import folder
from tfnn.data.growable import growable
from tfnn.data.known import cifar10, cifar100, fashion_mnist, mnist
from tfnn.data.load import load
from tfnn.data.rgb import rgb
from tfnn.data.stream import stream
from tfnn.data.table import table
