"""Tools that show how well a model does, and how signals pass through it."""

from tfnn.diagnose.accuracy import accuracy, interval
from tfnn.diagnose.find_learning_rate import find_learning_rate
from tfnn.diagnose.learning_rate_curve import LearningRateCurve
from tfnn.diagnose.propagation import propagation
from tfnn.diagnose.report import LayerReport, Propagation
from tfnn.diagnose.statistics import Moments
