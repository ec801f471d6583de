"""Transfer learning from the models of Keras Applications."""

from tfnn.transfer.advise import advise
from tfnn.transfer.backbone import Backbone, backbone, backbones
from tfnn.transfer.classifier import classifier
from tfnn.transfer.feature_cache import FeatureCache
from tfnn.transfer.freezing import freeze
from tfnn.transfer.layerwise_decay import layerwise_decay
from tfnn.transfer.preprocessing import Preprocessing
from tfnn.transfer.stage_model import StageModel
from tfnn.transfer.stages import Stage, stages
from tfnn.transfer.unfreeze import Unfreeze
from tfnn.transfer.weights import load_weights
