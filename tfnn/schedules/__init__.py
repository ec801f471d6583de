"""Learning-rate schedules (lecture, section 4). All are instances of `keras.optimizers.schedules.LearningRateSchedule`."""

from tfnn.schedules.cosine import Cosine
from tfnn.schedules.cosine_decay_restarts import CosineDecayRestarts
from tfnn.schedules.decay_to_growth import decay_to_growth
from tfnn.schedules.exponential_decay import ExponentialDecay
from tfnn.schedules.in_epochs import InEpochs
from tfnn.schedules.inverse_time_decay import InverseTimeDecay
from tfnn.schedules.linear_scaling import linear_scaling
from tfnn.schedules.one_cycle import OneCycle
from tfnn.schedules.piecewise_constant_decay import PiecewiseConstantDecay
from tfnn.schedules.polynomial_decay import PolynomialDecay
from tfnn.schedules.step_decay import StepDecay
from tfnn.schedules.warmup import Warmup
