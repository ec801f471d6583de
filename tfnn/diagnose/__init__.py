"""What a trained model does."""

from tfnn.diagnose.accuracy import accuracy, interval
