"""The base of all optimizers: the state of each weight, settable hyper-parameters, files, and the update itself."""

import collections
import numbers
import types
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfnn.checks import positive
from tfnn.controls import TellingOptimizer
from tfnn.internals.base_optimizer import BaseOptimizer
from tfnn.internals.optimizers import (
    averages_of,
    call_count_of,
    decays,
    key_of,
    place_of,
    rate_in,
    strategy_of,
    sums_of,
    weights_of,
)
from tfnn.internals.tensorflow import across_replicas
from tfnn.optimizers.clocks import Clocks
from tfnn.optimizers.hyperparameter import VARIABLES, Hyperparameter, Number, Rate, VariableRate, checked
from tfnn.optimizers.matching import match, path_of, same_kinds

KERNEL_DTYPES = tf.float32, tf.float64
NAMED = "named"  # the entry of a file that says that its others go by names
CLOCK = "clock"  # the name, in a file, of a weight's count of updates


class Optimizer(BaseOptimizer, TellingOptimizer):
    """Base of tfnn's optimizers: a Keras optimizer made of an update rule, its state and its hyper-parameters.

    A subclass provides

    - `slots`: the names of its state variables, which have the shape of the weight and start as `slot_initializer(slot)`;
    - `rule(w, g, *state, **letters)`: the update of one weight in plain TensorFlow, which returns the new (w, *state);
    - `kernel(w, g, *state, **letters)`: the same in a fused TensorFlow kernel on the variables, where `fused` is true;
    - `letters(h, lr, t)`: the scalars of both, from the hyper-parameters h, the rate and the number t of the update.

    Rule and kernel give the same numbers. The kernel updates float32 and float64 weights; half-precision weights are
    updated by the rule in float32 and rounded. Sparse gradients are summed and made dense, which is exact for every rule.
    (Rules that leave rows without gradient alone could write the others only. But TensorFlow copies a variable that is
    written by rows whenever it is read as a whole, as Keras's Embedding does: an update of 1,000,000 × 64 then took two to
    four times as long.)

    It differs from Keras in three ways. Gradients are clipped after they are summed over replicas. Under
    `gradient_accumulation_steps`, schedules and averages (`use_ema`) count updates. And weights that are unfrozen later join
    the optimizer with their own count t of updates; with a shared count Adam's first steps on them would be up to 6 times
    too large. `.keras` and `.weights.h5` files hold the state under the weights' names, so that it is found whatever was
    frozen; `tf.train.Checkpoint` goes by order, as for Keras's optimizers.

    Example:
        >>> class SignDescent(tfnn.optimizers.Optimizer):
        ...     fused = False
        ...     rule = staticmethod(lambda w, g, lr: (w - lr * tf.sign(g),))
        ...     letters = lambda self, h, lr, t: {"lr": lr}
        >>> model.compile(SignDescent(1e-3), "sparse_categorical_crossentropy")
    """

    slots: tuple[str, ...] = ()
    fused = True
    weight_decay = Hyperparameter(0, optional=True)

    def __init__(self, learning_rate: Rate, weight_decay: Number | None = None, **kwargs: Any) -> None:
        if isinstance(learning_rate, (numbers.Real, tf.Tensor, *VARIABLES)):
            rate = checked("learning_rate", learning_rate)
            learning_rate = VariableRate(learning_rate) if isinstance(learning_rate, VARIABLES) else rate
        # in __dict__, where Keras does not track them
        self.__dict__.update(state=collections.defaultdict(list), saved=[], letters_of_update=None, rates={}, together=set())
        self.__dict__["clocks"] = Clocks(self)
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay, **kwargs)

    @property
    def hyperparameters(self):
        """{name: variable}. They are settings and not state, and so not among `variables`, which Keras saves."""
        return self.__dict__.setdefault("_hyperparameters", {})

    def get_config(self):
        return {**super().get_config(), **{name: getattr(self, name) for name in self.hyperparameters}}

    @property
    def learning_rate(self):
        return super().learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        if isinstance(value, (numbers.Real, tf.Tensor)):
            value = checked("learning_rate", value)
            if hasattr(rate_in(self), "assign"):  # a variable, or a schedule that a callback made settable
                return rate_in(self).assign(value)
        keras.optimizers.Optimizer.learning_rate.fset(self, value)

    def scale_learning_rate(self, var_list: Sequence[tf.Variable | keras.Variable], factor: float) -> None:
        """Lets weights learn at `factor` · η. Like `exclude_from_weight_decay`, this is not part of the configuration.

        Args:
            var_list: a list of variables.
            factor: a positive float; a later call for a variable replaces an earlier one.

        Raises:
            ValueError: for a `factor` that is not positive and finite.
        """
        positive("factor", factor)
        self.__dict__["rates"] = self.rates | {key_of(self, variable): float(factor) for variable in var_list}

    # State -----------------------------------------------------------------------------------------------------------

    def build(self, variables):
        if not self.built:
            with tf.init_scope():  # state from a file is restored here, which a graph would do anew at each call
                self.add_weights(variables)

    def add_weights(self, variables):
        """Makes the state of more weights, whether or not the optimizer has some already."""
        check_real(variables)
        joins = bool(weights_of(self))
        self.build_more(variables)
        for slot in self.slots:
            self.state[slot] += self.add_optimizer_variables(variables, slot, self.slot_initializer(slot))
        self.put_in_order(weights_of(self))
        if joins:
            self.clocks.start(variables)
        self.restore(variables)

    def slot_initializer(self, slot):
        return "zeros"

    def take_in(self, variables):
        """Makes the state of those weights that the optimizer does not know yet."""
        unknown = [v for v in variables if not self.knows(v)]
        if not unknown:
            return
        if weights_of(self) and not self.are_of_one_model(variables):
            self.refuse_unknown(variables)
        if type(self).build is not Optimizer.build:
            raise ValueError(
                f"{type(self).__name__}.build knows no weights that join later: override add_weights instead of it"
            )
        with tf.init_scope():
            self.add_weights(unknown)
            self.put_in_order(variables)

    def belong_together(self, weights):
        self.__dict__["together"] = {key_of(self, weight) for weight in weights}

    def are_of_one_model(self, variables):
        """Whether weights may be those of the model for whose weights there is state, as far as can be told.

        A trainer tells which belong together. Elsewhere weights that join come with some that are known, as when layers are
        unfrozen, whereas another model's weights come alone.
        """
        held, asked = ({key_of(self, variable) for variable in some} for some in (weights_of(self), variables))
        return held | asked <= self.together if self.together else bool(held & asked)

    def put_in_order(self, weights):
        """Sorts the lists into the model's order, with other weights last: callbacks and files rely on that order.

        So `variables` are those of an optimizer that was built for all weights at once, as one is that is loaded.
        """
        keys = [key_of(self, weight) for weight in weights]
        position = {key: index for index, key in enumerate(keys)}
        held = weights_of(self)
        order = sorted(range(len(held)), key=lambda i: position.get(key_of(self, held[i]), len(keys)))
        self.reorder(order)
        for slot, held in self.state.items():
            self.state[slot] = [held[i] for i in order]
        of_weights = [variable for _, variable in self.entries(weights_of(self))]
        self.list_variables([variable for _, variable in self.own_variables()] + of_weights)

    def finalize_variable_values(self, var_list):
        if self.use_ema:
            for weight in var_list:
                average = averages_of(self)[place_of(self, weight)]
                if average is not None:
                    weight.assign(average)

    # What a trainer may ask of an optimizer --------------------------------------------------------------------------

    def traced_objects(self):
        return [self.rates, *self.clocks.distinct(weights_of(self))]

    def state_by_place(self, weights):
        """{name: variable} of all state, named by each weight's place in `weights`, whatever the order in which they joined.

        It includes the hyper-parameters, which are not among `variables`.
        """
        place = {id(weight): index for index, weight in enumerate(weights)}
        found = {f"own/{index}": variable for index, (_, variable) in enumerate(self.own_variables())}
        for weight in weights_of(self):
            for path, variable in self.entries([weight]) + self.clock_entries([weight]):
                found[f"{place[id(weight)]}/{path.rpartition('/')[2]}"] = variable
        return found | {name: variable for name, variable in self.hyperparameters.items() if variable is not None}

    def set_clocks(self, weights, counts):
        self.clocks.restore(list(zip(weights, counts)))

    def factors(self, weights):
        return [self.rates.get(key_of(self, weight), 1.0) for weight in weights]

    def form(self):
        """{hyper-parameter: "a number", or None where it is left out}: the configuration without its present numbers."""
        return {name: None if variable is None else "a number" for name, variable in self.hyperparameters.items()}

    # Files -----------------------------------------------------------------------------------------------------------

    def entries(self, weights):
        """[(name, variable)] of the state of `weights`; a name is the weight's path and the kind of the variable.

        A weight that is not learnt, as the scales of float8 are, which their gradients replace, has none.
        """
        lists = {"average": averages_of(self), "gradient": sums_of(self)}
        kinds = {kind: held for kind, held in {**lists, **self.state}.items() if held}
        indices = [place_of(self, weight) for weight in weights]
        found = [(f"{path_of(weights_of(self)[i])}/{kind}", held[i]) for kind, held in kinds.items() for i in indices]
        return [(name, variable) for name, variable in found if variable is not None]

    def clock_entries(self, weights):
        """[(name, variable)] of the clocks of those weights that have their own."""
        clocks = [(weight, self.clocks.of(weight)) for weight in weights]
        return [(f"{path_of(weight)}/{CLOCK}", clock) for weight, clock in clocks if clock is not None]

    def own_variables(self):
        """[(name, variable)] of the variables of no single weight: the count of updates, the rate, a subclass's own."""
        of_weights = {id(variable) for _, variable in self.entries(weights_of(self))}
        of_weights |= set(map(id, self.clocks.made))
        return [(variable.name, variable) for variable in self.variables if id(variable) not in of_weights]

    def save_own_variables(self, store):
        weights = weights_of(self)
        entries = [*self.own_variables(), *self.entries(weights), *self.clock_entries(weights)]
        values = [(name, variable.numpy()) for name, variable in entries] + self.saved
        for index, (name, value) in enumerate(values):
            store[f"{index}:{name.replace('/', '|')}"] = value
        store[NAMED] = np.int64(1)  # one entry more than Keras's optimizer has: it then skips the file with a warning

    def load_own_variables(self, store):
        keys = [key for key in list(store.keys()) if key != NAMED]
        if all(key.isdigit() for key in keys):  # written by Keras, whose order agrees for a single slot
            if len(self.slots) < 2:
                return super().load_own_variables(store)
            return self.warn("was written by Keras's optimizer, whose state stands in another order")
        keys.sort(key=lambda key: int(key.partition(":")[0]))
        held = [(key.partition(":")[2].replace("|", "/"), np.array(store[key])) for key in keys]
        own = self.own_variables()
        if not same_kinds(own, held[: len(own)]):
            return self.warn("holds other variables")
        for (_, variable), (_, value) in zip(own, held):
            variable.assign(value)
        self.__dict__["saved"] = held[len(own) :]
        if self.built:
            self.restore(weights_of(self))

    def restore(self, weights):
        """Restores what a file held for `weights`; the rest waits for weights that are frozen now and trained later.

        Entries are matched by name if every one of `weights`, or every entry of the file, finds its match. Otherwise they
        are matched by order if kinds and shapes agree, as in the same model with other layer names.
        """
        if not self.saved:
            return
        is_clock = lambda entry: entry[0].endswith(f"/{CLOCK}")
        clocks, saved = [one for one in self.saved if is_clock(one)], [one for one in self.saved if not is_clock(one)]
        entries = self.entries(weights)
        found = match([name for name, _ in entries], [name for name, _ in saved])
        found = [i if i is not None and tuple(v.shape) == saved[i][1].shape else None for i, (_, v) in zip(found, entries)]
        matched = {index for index in found if index is not None}
        if None in found and len(matched) < len(saved):
            if not same_kinds(entries, saved):
                call_count_of(self).assign(0)
                return self.warn("does not fit these weights")
            found = range(len(saved))
        for (_, variable), index in zip(entries, found):
            if index is not None:
                variable.assign(saved[index][1])
        self.__dict__["saved"] = [entry for index, entry in enumerate(saved) if index not in set(found)]
        held = [name for (name, _), index in zip(entries, found) if index is not None]
        restored = [weight for weight in weights if any(name.startswith(f"{path_of(weight)}/") for name in held)]
        self.restore_clocks(restored, clocks)

    def restore_clocks(self, weights, saved):
        """Sets the counts of `weights` whose state a file held; a weight without a saved count takes the optimizer's."""
        found = match([f"{path_of(weight)}/{CLOCK}" for weight in weights], [name for name, _ in saved])
        self.clocks.restore([(weight, None if i is None else int(saved[i][1])) for weight, i in zip(weights, found)])
        self.__dict__["saved"] += [entry for index, entry in enumerate(saved) if index not in set(found)]

    def warn(self, what):
        self.__dict__["saved"] = []
        warnings.warn(f"the state in the file {what}: optimizer {self.name!r} starts anew", stacklevel=2)

    # Update ----------------------------------------------------------------------------------------------------------

    def update(self, gradients, weights):
        """One update of all weights: the sum over replicas, clipping, the rule, averages."""
        weights = [w.value if isinstance(w, keras.Variable) else w for w in weights]
        gradients = [tf.convert_to_tensor(gradient) for gradient in self.summed(gradients, weights)]
        gradients = self.clipped(gradients)
        rate = tf.convert_to_tensor(self.learning_rate)
        self.__dict__["letters_of_update"] = {}  # shared by all weights: otherwise 200 weights would compute them 200 times
        try:
            self.update_each(gradients, weights, rate)
        finally:
            self.__dict__["letters_of_update"] = None
        self.clocks.tick(weights)
        if self.use_ema:
            self.move_averages()
        if self.use_ema and self.ema_overwrite_frequency:
            now = (self.iterations + 1) % self.ema_overwrite_frequency == 0
            across_replicas(self.overwrite_by_average, strategy_of(self), now)

    def overwrite_by_average(self, distribution, now):
        """Replaces every weight by its average where `now`. A `tf.cond` would not do: replicas cannot synchronise inside it."""
        assign = lambda weight, average, now: weight.assign(tf.where(now, average, weight))
        for weight, average in zip(weights_of(self), averages_of(self)):
            if average is None:
                continue
            weight = weight.value if isinstance(weight, keras.Variable) else weight
            distribution.extended.update(weight, assign, args=(average.value, now), group=False)

    def update_step(self, gradient, variable, learning_rate):
        """The update of one weight. A subclass may override it as in Keras."""
        index = place_of(self, variable)
        state = [self.state[slot][index].value for slot in self.slots]
        dtype = variable.dtype if variable.dtype in KERNEL_DTYPES else tf.float32
        letters, decay = self.letters_for(variable, *self.numbers(learning_rate, variable, dtype))
        gradient = tf.cast(tf.convert_to_tensor(gradient), dtype)
        if decay is not None:
            variable.assign_sub(tf.cast(decay * tf.cast(variable, dtype), variable.dtype))
        if self.fused and dtype == variable.dtype:
            return self.kernel(variable, gradient, *state, **letters)
        w, *slots = [tf.cast(value, dtype) for value in (variable, *state)]
        for held, value in zip((variable, *state), self.rule(w, gradient, *slots, **letters), strict=True):
            held.assign(tf.cast(value, held.dtype))

    def numbers(self, learning_rate, variable, dtype):
        """The letters of the rule, and the decay or None, as tensors of `dtype`, computed in float64 and cached."""
        known = {} if self.letters_of_update is None else self.letters_of_update
        clock, factor = self.clocks.of(variable), self.rates.get(key_of(self, variable), 1.0)
        alike = dtype, id(clock), factor
        if alike not in known:
            held = {name: getattr(type(self), name) for name, value in self.hyperparameters.items() if value is not None}
            h = types.SimpleNamespace(**{name: parameter.number(self, dtype) for name, parameter in held.items()})
            updates = self.iterations if clock is None else clock.value
            lr, t = factor * tf.cast(learning_rate, tf.float64), tf.cast(updates + 1, tf.float64)
            letters = {name: tf.cast(letter, dtype) for name, letter in self.letters(h, lr, t).items()}
            known[alike] = letters, tf.cast(h.weight_decay, dtype) if "weight_decay" in held else None
        return known[alike]

    def letters_for(self, variable, letters, decay):
        """(letters, share) for one weight, which first loses that share of itself: θ ← θ − η · weight_decay · θ (decoupled)."""
        decay = decay if decay is not None and decays(self, variable) else None
        return letters, None if decay is None else letters["lr"] * decay


def check_real(weights):
    """Refuses complex weights: the rules are written for real ones, and would drop the imaginary part."""
    for weight in weights:
        dtype = keras.backend.standardize_dtype(weight.dtype)
        if "complex" in dtype:
            raise ValueError(
                f"weight {path_of(weight)!r} is {dtype}, and tfnn's optimizers train real weights: train its real and imaginary"
                " parts as two weights, or take an optimizer of Keras's"
            )
