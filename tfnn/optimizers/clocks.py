"""How many updates a weight has had: what unfreezes late begins to count when it does, as bias corrections need it."""

import collections

import keras

from tfnn.internals.optimizers import key_of, track


class Clocks:
    """Counts of updates, for the weights that joined an optimizer later than its first ones, which count as the optimizer.

    Weights that joined together share a variable. An update counts where they take part in it, so that weights that are
    known from the start and frozen for a while are right, too.
    """

    def __init__(self, optimizer):
        self.optimizer, self.held, self.made = optimizer, {}, []

    def key(self, weight):
        return key_of(self.optimizer, weight)

    def start(self, weights, value=0):
        clock = keras.Variable(value, dtype="int64", trainable=False, aggregation="only_first_replica", name="clock")
        track(self.optimizer, clock)
        self.made.append(clock)
        self.held |= {self.key(weight): clock for weight in weights}

    def of(self, weight):
        """The variable that counts a weight's updates, or None where it is the optimizer's."""
        return self.held.get(self.key(weight))

    def tick(self, weights):
        for clock in self.distinct(weights):
            clock.assign_add(1)

    def distinct(self, weights):
        return list({id(clock): clock for clock in map(self.of, weights) if clock is not None}.values())

    def restore(self, counts):
        """Sets how many updates weights have had.

        Args:
            counts: [(weight, number)]; None has a weight count as the optimizer. Weights of the same number share a clock,
                unless they have several already: what is to join at different times may stand at 0 together.
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
