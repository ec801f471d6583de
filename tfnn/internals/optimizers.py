"""What an optimizer holds besides what Keras documents: its rate, its weights, its count of calls."""

import contextlib

from tfnn.internals.lookup import part


def rate_in(optimizer):
    """What the rate is read from: a variable, schedule or function. Keras 3.12 to 3.15; raises without `_learning_rate`."""
    return part(optimizer, "_learning_rate")


def put_rate(optimizer, rate):
    """Puts `rate` there, past Keras's tracking of variables. Keras 3.12 to 3.15; raises without `_learning_rate`."""
    rate_in(optimizer)
    object.__setattr__(optimizer, "_learning_rate", rate)


@contextlib.contextmanager
def replaced_rate(optimizer, rate):
    """Inside the block the rate is read from `rate`. Keras 3.12 to 3.15; raises without `_learning_rate`."""
    original = rate_in(optimizer)
    put_rate(optimizer, rate)
    try:
        yield
    finally:
        put_rate(optimizer, original)


@contextlib.contextmanager
def without_all_reduce(optimizer):
    """Inside it gradients are not summed over replicas. Keras 3.12 to 3.15; nothing without `_all_reduce_sum_gradients`."""
    name = "_all_reduce_sum_gradients"
    if not hasattr(optimizer, name):
        yield
        return
    object.__setattr__(optimizer, name, lambda gradients_and_weights: gradients_and_weights)
    try:
        yield
    finally:
        object.__delattr__(optimizer, name)


def weights_of(optimizer):
    """The weights it was built for, in order. Keras 3.12 to 3.15; raises without `_trainable_variables`."""
    return part(optimizer, "_trainable_variables")


def averages_of(optimizer):
    """Under `use_ema` the average of each weight; else []. Keras 3.12 to 3.15: `_model_variables_moving_average`."""
    return getattr(optimizer, "_model_variables_moving_average", [])


def sums_of(optimizer):
    """Under accumulation the gradients' sum for each weight; else []. Keras 3.12 to 3.15: `_accumulated_gradients`."""
    return getattr(optimizer, "_accumulated_gradients", [])


def key_of(optimizer, variable):
    """What tells a weight from others, whatever replica it is seen from. Keras 3.12 to 3.15; raises without `_var_key`."""
    return part(optimizer, "_var_key")(variable)


def place_of(optimizer, variable):
    """The place of a weight in `weights_of`. Keras 3.12 to 3.15; raises without `_get_variable_index`."""
    return part(optimizer, "_get_variable_index")(variable)


def call_count_of(optimizer):
    """The variable that counts calls of `apply`. Keras 3.12 to 3.15; raises without `_iterations`."""
    return part(optimizer, "_iterations")


def decays(optimizer, variable):
    """Whether a weight is not excluded from weight decay. Keras 3.12 to 3.15; raises without `_use_weight_decay`."""
    return part(optimizer, "_use_weight_decay")(variable)


def track(optimizer, variable):
    """Has a variable stand in `optimizer.variables`. Keras 3.12 to 3.15; raises without `_track_variable`."""
    part(optimizer, "_track_variable")(variable)


def check_known(optimizer, variables):
    """ValueError for weights it was not built for; tfnn's take them in. Keras 3.12 to 3.15: `_check_variables_are_known`."""
    part(optimizer, "_check_variables_are_known")(variables)


def strategy_of(optimizer):
    """The strategy it was made under. Keras 3.12 to 3.15; raises without `_distribution_strategy`."""
    return part(optimizer, "_distribution_strategy")
