"""Learning-rate schedules (lecture, section 4). All are `keras.optimizers.schedules.LearningRateSchedule`."""

from tfnn.schedules.cosine import Cosine
from tfnn.schedules.in_epochs import InEpochs
from tfnn.schedules.warmup import Warmup
