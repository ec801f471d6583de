"""The contracts by which an optimizer, or its rate, tells a trainer of its state. One without them is taken as Keras's own."""


class TellingOptimizer:
    """An optimizer whose state goes with its weights, whatever the order in which these joined.

    Example:
        >>> isinstance(tfnn.optimizers.Adam(), tfnn.controls.TellingOptimizer)
        True
    """

    def traced_objects(self):
        """What a trace of the update holds besides numbers: where one is another, an earlier trace serves no more."""
        return []

    def state_by_place(self, weights):
        """{name: variable} of all state, by the index of its weight among `weights`."""
        raise NotImplementedError

    def set_clocks(self, weights, counts):
        """Gives weights the counts of updates that `state_by_place` told; None means that a weight counts as the optimizer."""

    def factors(self, weights):
        """The factor by which each weight's rate is scaled."""
        return [1.0 for _ in weights]

    def form(self):
        """{name: "a number" or None}: the numbers of the update rule, whatever their values are now."""
        return {}

    def belong_together(self, weights):
        """Tells it the weights of the model that it trains: others may not join."""

    def take_in(self, weights):
        """Makes the state of those weights that it does not know yet."""
        raise NotImplementedError


class SettableRate:
    """A learning rate that is kept in variables.

    Example:
        >>> class Halved(tfnn.controls.SettableRate):
        ...     rate = tf.Variable(0.1)
        ...     state = {"learning_rate": rate}
        ...     def __call__(self): return self.rate / 2
        >>> model.compile(tfnn.optimizers.SGD(Halved()), "sparse_categorical_crossentropy")
    """

    followed = None  # the schedule that it follows where no rate was set

    @property
    def state(self):
        """{name: variable}, for checkpoints."""
        raise NotImplementedError
