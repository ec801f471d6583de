"""What a trained model does, and how a signal passes through it."""

from tfnn.diagnose.accuracy import accuracy, interval
from tfnn.diagnose.propagation import propagation
from tfnn.diagnose.report import LayerReport, Propagation
from tfnn.diagnose.statistics import Moments
