"""Initializers (lecture, section 2): the variance that keeps signals from vanishing or exploding with depth.

With independent, zero-mean weights and inputs, Var(y) = n_in · Var(w) · Var(x). So Var(w) = 1/n_in keeps the signal's
variance from layer to layer; likewise 1/n_out keeps the gradient's. A ReLU halves the second moment of its input, which
asks for 2/n_in.
"""

from keras.initializers import STFT, Constant, Identity, Initializer, Ones, RandomNormal, RandomUniform, TruncatedNormal

from tfnn.initializers.fan_out import FanOutNormal
from tfnn.initializers.glorot import GlorotNormal, GlorotReluNormal, GlorotUniform
from tfnn.initializers.he import HeNormal, HeUniform
from tfnn.initializers.lecun import LecunNormal, LecunUniform
from tfnn.initializers.lsuv import lsuv
from tfnn.initializers.orthogonal import Orthogonal
from tfnn.initializers.small_normal import SmallNormal
from tfnn.initializers.variance_scaling import VarianceScaling
from tfnn.initializers.zeros import Zeros
