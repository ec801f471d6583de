"""The common part of LARS and LAMB: a rate for each layer, and weights that are excluded from it."""

import re
from collections.abc import Sequence

import keras
import tensorflow as tf

from tfnn.internals.optimizers import decays, key_of
from tfnn.optimizers.base import Optimizer


def norm(x):
    return tf.sqrt(tf.reduce_sum(x * x))


def trust_ratio(weight_norm, update_norm, trust=1.0):
    """trust · ‖θ‖ / ‖update‖, or 1 where either norm is 0; otherwise a bias that starts at 0 would never change."""
    defined = (weight_norm > 0) & (update_norm > 0)
    return tf.where(defined, trust * weight_norm / tf.where(defined, update_norm, 1.0), 1.0)


class LayerwiseOptimizer(Optimizer):
    """An optimizer whose rule also takes the decay `wd` and the flag `adapt`, which says if the weight has its own rate."""

    fused = False

    def exclude_from_adaptation(
        self, var_list: Sequence[tf.Variable | keras.Variable] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Lets weights, such as biases and the scales of normalisation, take the global rate.

        Args:
            var_list: a list of variables.
            var_names: a list of regular expressions; a variable is excluded if one of them matches in its name.
        """
        self.__dict__["not_adapted"] = {key_of(self, v) for v in var_list or ()}, var_names or []

    def adapts(self, variable):
        keys, words = self.__dict__.get("not_adapted", (set(), []))
        return key_of(self, variable) not in keys and not any(re.search(word, variable.name) for word in words)

    def letters_for(self, variable, letters, decay):
        inside = decay if decay is not None and decays(self, variable) else 0 * letters["lr"]
        return {**letters, "wd": inside, "adapt": self.adapts(variable)}, None
