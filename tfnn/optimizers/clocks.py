"""Counts the updates of each weight. A weight that is unfrozen late counts from then on, as bias corrections require."""

import collections

import keras

from tfnn.internals.optimizers import key_of


class Clocks:
    """The counts of updates of weights that joined an optimizer late; the first weights use the optimizer's own count.

    Weights that joined together share a variable. An update counts for the weights that take part in it, so that the count
    is also right for weights that are known from the start and frozen for a while.

    They are none of the optimizer's `variables`: a `LossScaleOptimizer` stores those by number beside its own, and would load
    nothing where a number differs. Files hold them under names, see `Optimizer.save_own_variables`.
    """

    def __init__(self, optimizer):
        self.optimizer, self.held, self.made = optimizer, {}, []

    def key(self, weight):
        return key_of(self.optimizer, weight)

    def start(self, weights, value=0):
        clock = keras.Variable(value, dtype="int64", trainable=False, aggregation="only_first_replica", name="clock")
        self.made.append(clock)
        self.held |= {self.key(weight): clock for weight in weights}

    def of(self, weight):
        """The variable that counts a weight's updates, or None where that is the optimizer's."""
        return self.held.get(self.key(weight))

    def tick(self, weights):
        for clock in self.distinct(weights):
            clock.assign_add(1)

    def distinct(self, weights):
        return list({id(clock): clock for clock in map(self.of, weights) if clock is not None}.values())

    def restore(self, counts):
        """Sets how many updates weights have had.

        Args:
            counts: [(weight, number)]; with None a weight counts as the optimizer does. Weights with the same number share
                a clock, unless they have different ones already, as weights have that stand at 0 but will join at different
                times.
        """
        users, groups = collections.Counter(map(id, self.held.values())), {}
        for weight, count in counts:
            clock = self.of(weight)
            groups.setdefault((count, id(clock)), (clock, []))[1].append(weight)
        for (count, _), (clock, weights) in groups.items():
            if count is None:
                for weight in weights:
                    self.held.pop(self.key(weight), None)
            elif clock is not None and users[id(clock)] == len(weights):
                clock.assign(count)
            else:
                self.start(weights, count)
