"""What LARS and LAMB share: a rate for each layer, and weights that are left out of it."""

import re

import tensorflow as tf

from tfnn.internals.optimizers import decays, key_of
from tfnn.optimizers.base import Optimizer


def norm(x):
    return tf.sqrt(tf.reduce_sum(x * x))


def trust_ratio(weight_norm, update_norm, trust=1.0):
    """trust · ‖θ‖ / ‖update‖, and 1 where either norm is 0: a bias that starts at 0 could never leave it otherwise."""
    defined = (weight_norm > 0) & (update_norm > 0)
    return tf.where(defined, trust * weight_norm / tf.where(defined, update_norm, 1.0), 1.0)


class LayerwiseOptimizer(Optimizer):
    """An optimizer whose rule takes the decay wd inside, and `adapt`, whether the weight has a rate of its own."""

    fused = False

    def exclude_from_adaptation(self, var_list=None, var_names=None):
        """Weights that take the global rate, such as biases and the scales of normalisation.

        Args:
            var_list: a list of variables.
            var_names: a list of words; a variable whose name holds one of them (a regular expression) is left out.
        """
        self.__dict__["not_adapted"] = {key_of(self, v) for v in var_list or ()}, var_names or []

    def adapts(self, variable):
        keys, words = self.__dict__.get("not_adapted", (set(), []))
        return key_of(self, variable) not in keys and not any(re.search(word, variable.name) for word in words)

    def letters_for(self, variable, letters, decay):
        inside = decay if decay is not None and decays(self, variable) else 0 * letters["lr"]
        return {**letters, "wd": inside, "adapt": self.adapts(variable)}, None
