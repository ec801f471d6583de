"""Keras's optimizer with public names for what a subclass overrides and needs of it."""

import keras

from tfnn.internals.lookup import part
from tfnn.internals.optimizers import averages_of, call_count_of, key_of, place_of, rate_in, strategy_of, sums_of, weights_of
from tfnn.internals.tensorflow import across_replicas

LISTS = "_trainable_variables", "_model_variables_moving_average", "_accumulated_gradients"  # one entry for each weight
OVERRIDDEN = "_backend_apply_gradients", "_check_variables_are_known", "_get_current_learning_rate"


class BaseOptimizer(keras.optimizers.Optimizer):
    """A Keras optimizer whose subclass makes an update of all weights at once, and may take in more weights.

    It gives `update(gradients, weights)` and `take_in(weights)`. Keras 3.12 to 3.15; an optimizer cannot be made where Keras
    has none of the methods that are overridden here, as it would then pass over them in silence.
    """

    def __init__(self, *args, **kwargs):
        for name in OVERRIDDEN:
            part(keras.optimizers.Optimizer, name)
        super().__init__(*args, **kwargs)

    # Given by a subclass ---------------------------------------------------------------------------------------------

    def update(self, gradients, weights):
        """Makes one update of all weights; gradients are unscaled, and not yet summed over replicas or clipped."""
        raise NotImplementedError

    def take_in(self, weights):
        """Called before each update, with its weights: some of them may be new."""
        raise NotImplementedError

    # What Keras calls ------------------------------------------------------------------------------------------------

    def _backend_apply_gradients(self, grads, trainable_variables):
        """One update, or under accumulation one with the mean of the last `gradient_accumulation_steps` gradients."""
        steps = self.gradient_accumulation_steps
        if not steps:
            return self.update(grads, trainable_variables)
        sums = [sums_of(self)[place_of(self, v)] for v in trainable_variables]

        def update():
            self.update([(g + total) / steps for g, total in zip(grads, sums)], trainable_variables)
            part(self, "_backend_reset_gradient_accumulators")()

        accumulate = lambda: part(self, "_backend_increment_gradient_accumulators")(grads, sums)
        keras.ops.cond((call_count_of(self) + 1) % steps == 0, update, accumulate)

    def _check_variables_are_known(self, variables):
        self.take_in(variables)

    def _get_current_learning_rate(self):
        """Keras gives a schedule the number of calls, which under accumulation is not that of updates."""
        rate = rate_in(self)
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            return rate(self.iterations)
        return super()._get_current_learning_rate()

    # What an update is made of ---------------------------------------------------------------------------------------

    def summed(self, gradients, weights):
        """The gradients, summed over replicas. Keras 3.12 to 3.15; raises without `_all_reduce_sum_gradients`."""
        return [gradient for gradient, _ in part(self, "_all_reduce_sum_gradients")(list(zip(gradients, weights)))]

    def clipped(self, gradients):
        """The gradients, clipped as the arguments say. Keras 3.12 to 3.15; raises without `_clip_gradients`."""
        return part(self, "_clip_gradients")(gradients)

    def update_each(self, gradients, weights, rate):
        """Calls `update_step` for each weight. Keras 3.12 to 3.15; raises without `_distributed_tf_update_step`."""
        pairs = list(zip(gradients, weights))
        across_replicas(part(self, "_distributed_tf_update_step"), strategy_of(self), pairs, rate)

    def move_averages(self):
        """Moves the averages of `use_ema`. Keras 3.12 to 3.15; raises without `_update_model_variables_moving_average`."""
        part(self, "_update_model_variables_moving_average")(weights_of(self))

    # The weights -----------------------------------------------------------------------------------------------------

    def knows(self, weight):
        """Whether it holds state for a weight. Keras 3.12 to 3.15; raises without `_trainable_variables_indices`."""
        return key_of(self, weight) in part(self, "_trainable_variables_indices")

    def refuse_unknown(self, weights):
        """Keras's ValueError for weights that it holds no state for. Keras 3.12 to 3.15; raises without the method."""
        super()._check_variables_are_known(weights)

    def build_more(self, weights):
        """Keras's `build`, which makes lists for these weights alone: here they are joined to those that were there.

        Averages of weights that join start at these: Keras starts them at 0 and corrects that at the first update only.
        """
        before = {name: list(getattr(self, name, [])) for name in LISTS}
        super().build(list(weights))
        if before["_trainable_variables"]:
            for weight, average in zip(weights, averages_of(self)):
                if average is not None:
                    average.assign(weight)
        for name in LISTS:
            object.__setattr__(self, name, before[name] + list(getattr(self, name, [])))

    def reorder(self, order):
        """Puts what is kept for each weight in another order, by the places that they have now."""
        for name in LISTS:
            held = getattr(self, name)
            object.__setattr__(self, name, [held[i] for i in order] if held else held)
        for index, weight in enumerate(weights_of(self)):
            part(self, "_trainable_variables_indices")[key_of(self, weight)] = index

    def list_variables(self, variables):
        """Sorts `variables` into this order. Keras 3.12 to 3.15, whose `_variables` TensorFlow wraps, around `_storage`."""
        held = part(self, "_variables")
        list.__setitem__(getattr(held, "_storage", held), slice(None), variables)  # past the wrapper, which compares them
        getattr(held, "_update_snapshot", lambda: None)()
