"""Training in a static graph: `fit`, `evaluate` and `predict` in place of the model's methods."""

from tfnn.training.evaluate import evaluate, predict
from tfnn.training.fit import fit
from tfnn.training.nonfinite import NonFiniteError
