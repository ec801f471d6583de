"""What all optimizers share, and the one place of the family that touches Keras's internals."""

import collections
import numbers
import types

import keras
import numpy as np
import tensorflow as tf

from tfnn.optimizers.hyperparameter import VARIABLES, Hyperparameter, VariableRate

KERNEL_DTYPES = tf.float32, tf.float64


class Optimizer(keras.optimizers.Optimizer):
    """Base of tfnn's optimizers: a Keras optimizer made of an update rule, its state and its numbers.

    A subclass gives

    - `slots`: the names of its state variables of a weight's shape, which start as `slot_initializer(slot)` says;
    - `rule(w, g, *state, **letters)`: the update of one weight in plain TensorFlow; it gives the new (w, *state);
    - `kernel(w, g, *state, **letters)`: the same by a fused TensorFlow kernel on the variables, where `fused` is true;
    - `letters(h, lr, t)`: the scalars of both, from the hyper-parameters h, the rate and the number t of the update.

    Both give the same numbers. The kernel is taken for float32 and float64 weights; half-precision weights are updated
    by the rule in float32 and rounded. Sparse gradients are summed and made dense, which is exact for every rule.

    Other than in Keras, gradients are clipped after their sum over replicas; under `gradient_accumulation_steps`
    schedules and averages (`use_ema`) count updates; weights that are unfrozen later join the optimizer; and state is
    saved by the weights' names, so that it finds them whatever was frozen.
    """

    slots = ()
    fused = True
    weight_decay = Hyperparameter(0, optional=True)

    def __init__(self, learning_rate, weight_decay=None, **kwargs):
        if isinstance(learning_rate, VARIABLES):
            learning_rate = VariableRate(learning_rate)
        elif isinstance(learning_rate, (numbers.Real, tf.Tensor)):
            learning_rate = float(learning_rate)
            if not learning_rate >= 0:
                raise ValueError(f"learning_rate={learning_rate} must be in [0, ∞)")
        self.__dict__.update(state=collections.defaultdict(list), saved=[], letters_of_update=None)  # untracked by Keras
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay, **kwargs)

    @property
    def hyperparameters(self):
        """Name to variable. They are settings, not state: outside `variables`, which Keras saves and counts."""
        return self.__dict__.setdefault("_hyperparameters", {})

    def get_config(self):
        return {**super().get_config(), **{name: getattr(self, name) for name in self.hyperparameters}}

    # State -----------------------------------------------------------------------------------------------------------

    def build(self, variables):
        if not self.built:
            self.add_weights(variables)

    def add_weights(self, variables):
        """Makes the state of more weights. Keras makes that of all weights at once: here its lists are joined."""
        count = len(self.variables)
        lists = "_trainable_variables", "_model_variables_moving_average", "_accumulated_gradients"
        before = {name: list(getattr(self, name, [])) for name in lists}
        super().build(list(variables))
        for name in lists:
            object.__setattr__(self, name, before[name] + list(getattr(self, name, [])))
        for index, variable in enumerate(self._trainable_variables):
            self._trainable_variables_indices[self._var_key(variable)] = index
        for slot in self.slots:
            self.state[slot] += self.add_optimizer_variables(variables, slot, self.slot_initializer(slot))
        self.restore(self.variables[count:])

    def slot_initializer(self, slot):
        return "zeros"

    def _check_variables_are_known(self, variables):
        unknown = [v for v in variables if self._var_key(v) not in self._trainable_variables_indices]
        if unknown:
            with tf.init_scope():
                self.add_weights(unknown)

    def names(self, variables):
        """The name of each variable in a file: the path of the weight that it belongs to, then what it is to the weight."""
        lists = {"average": "_model_variables_moving_average", "gradient": "_accumulated_gradients"}
        kinds = {**{kind: getattr(self, name, []) for kind, name in lists.items()}, **self.state}
        paths = [getattr(weight, "path", weight.name) for weight in self._trainable_variables]
        named = {id(v): f"{path}/{kind}" for kind, held in kinds.items() for path, v in zip(paths, held)}
        return [named.get(id(variable), variable.name) for variable in variables]

    def save_own_variables(self, store):
        for index, (name, variable) in enumerate(zip(self.names(self.variables), self.variables)):
            store[f"{index}:{name.replace('/', '|')}"] = variable.numpy()

    def load_own_variables(self, store):
        keys = list(store.keys())
        if all(key.isdigit() for key in keys):  # written by Keras
            return super().load_own_variables(store)
        keys.sort(key=lambda key: int(key.partition(":")[0]))
        self.saved += [(key.partition(":")[2].replace("|", "/"), np.array(store[key])) for key in keys]
        self.restore(self.variables)

    def restore(self, variables):
        """Hands out what a file held, by name; the rest waits for weights that are frozen now and trained later.

        Where no name fits but number and shapes do, it is the same model under other layer names: by order.
        """
        found = match(self.names(variables), [name for name, _ in self.saved])
        for variable, index in zip(variables, found):
            if index is not None:
                variable.assign(self.saved[index][1])
        missing = [variable for variable, index in zip(variables, found) if index is None]
        self.__dict__["saved"] = [saved for index, saved in enumerate(self.saved) if index not in found]
        if missing and [tuple(v.shape) for v in missing] == [value.shape for _, value in self.saved]:
            for variable, (_, value) in zip(missing, self.saved):
                variable.assign(value)
            self.__dict__["saved"] = []

    # Update ----------------------------------------------------------------------------------------------------------

    def _backend_apply_gradients(self, grads, trainable_variables):
        steps = self.gradient_accumulation_steps
        if not steps:
            return self.update(grads, trainable_variables)
        sums = [self._accumulated_gradients[self._get_variable_index(v)] for v in trainable_variables]

        def update():
            self.update([(g + total) / steps for g, total in zip(grads, sums)], trainable_variables)
            self._backend_reset_gradient_accumulators()

        accumulate = lambda: self._backend_increment_gradient_accumulators(grads, sums)
        keras.ops.cond((self._iterations + 1) % steps == 0, update, accumulate)

    def update(self, gradients, weights):
        """One update of all weights: sum over replicas, clipping, the rule, averages."""
        weights = [w.value if isinstance(w, keras.Variable) else w for w in weights]
        gradients = [tf.convert_to_tensor(g) for g, _ in self._all_reduce_sum_gradients(list(zip(gradients, weights)))]
        merge_call = tf.__internal__.distribute.interim.maybe_merge_call
        pairs = list(zip(self._clip_gradients(gradients), weights))
        rate = tf.convert_to_tensor(self.learning_rate)
        self.__dict__["letters_of_update"] = {}  # kept for all weights: 200 of them would compute them 200 times
        try:
            merge_call(self._distributed_tf_update_step, self._distribution_strategy, pairs, rate)
        finally:
            self.__dict__["letters_of_update"] = None
        if self.use_ema:
            self._update_model_variables_moving_average(self._trainable_variables)
        if self.use_ema and self.ema_overwrite_frequency:
            now = (self.iterations + 1) % self.ema_overwrite_frequency == 0
            merge_call(self.overwrite_by_average, self._distribution_strategy, now)

    def overwrite_by_average(self, distribution, now):
        """Every weight by its average, where `now`. Without a condition, in which replicas cannot meet."""
        assign = lambda weight, average, now: weight.assign(tf.where(now, average, weight))
        for weight, average in zip(self._trainable_variables, self._model_variables_moving_average):
            distribution.extended.update(weight.value, assign, args=(average.value, now), group=False)

    def _get_current_learning_rate(self):
        if isinstance(self._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
            return self._learning_rate(self.iterations)
        return super()._get_current_learning_rate()

    def update_step(self, gradient, variable, learning_rate):
        """The update of one weight. A subclass may override it as in Keras."""
        index = self._get_variable_index(variable)
        state = [self.state[slot][index].value for slot in self.slots]
        dtype = variable.dtype if variable.dtype in KERNEL_DTYPES else tf.float32
        letters = self.letters_for(variable, *self.numbers(learning_rate, dtype))
        gradient = tf.cast(tf.convert_to_tensor(gradient), dtype)
        if self.fused and dtype == variable.dtype:
            return self.kernel(variable, gradient, *state, **letters)
        w, *slots = [tf.cast(value, dtype) for value in (variable, *state)]
        for held, value in zip((variable, *state), self.rule(w, gradient, *slots, **letters), strict=True):
            held.assign(tf.cast(value, held.dtype))

    def numbers(self, learning_rate, dtype):
        """The letters of the rule, and the decay or None: tensors of `dtype`, computed in float64, once for an update."""
        known = {} if self.letters_of_update is None else self.letters_of_update
        if dtype not in known:
            held = {name: getattr(type(self), name) for name, value in self.hyperparameters.items() if value is not None}
            h = types.SimpleNamespace(**{name: parameter.number(self, dtype) for name, parameter in held.items()})
            lr, t = tf.cast(learning_rate, tf.float64), tf.cast(self.iterations + 1, tf.float64)
            letters = {name: tf.cast(letter, dtype) for name, letter in self.letters(h, lr, t).items()}
            known[dtype] = letters, tf.cast(h.weight_decay, dtype) if "weight_decay" in held else None
        return known[dtype]

    def letters_for(self, variable, letters, decay):
        """The letters for one weight, which is decayed first: θ ← θ − η · weight_decay · θ (decoupled)."""
        if decay is not None and self._use_weight_decay(variable):
            variable.assign_sub(variable * tf.cast(letters["lr"] * decay, variable.dtype))
        return letters


def match(names, saved):
    """For each name the index in `saved` of the one that ends as it does, or None where that is not one to one.

    Keras leaves out the outer parts of a path when it loads a model: "m/dense/kernel" comes back as "dense/kernel".
    """
    ends = collections.defaultdict(list)
    for index, name in enumerate(saved):
        ends[tuple(name.split("/")[-2:])].append(index)

    def fits(name):
        near = ends[tuple(name.split("/")[-2:])]
        same = [index for index in near if saved[index] == name]
        return same or [i for i in near if f"/{saved[i]}".endswith(f"/{name}") or f"/{name}".endswith(f"/{saved[i]}")]

    found = [fits(name) for name in names]
    claims = collections.Counter(index for indices in found for index in indices)
    return [indices[0] if len(indices) == 1 and claims[indices[0]] == 1 else None for indices in found]
