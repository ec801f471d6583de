"""Training in a static graph: `fit` in place of `model.fit`."""

from tfnn.training.fit import fit
