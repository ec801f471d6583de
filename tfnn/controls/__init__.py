"""The contract between a trainer and the callbacks and schedules that steer it."""

from tfnn.controls.callbacks import BatchSteering, Facts, Freezing, Probe, Saving, Steering
from tfnn.controls.optimizers import SettableRate, TellingOptimizer
from tfnn.controls.run import Controls, Views, current, needed_by, use
