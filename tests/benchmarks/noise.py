"""What the measured noise of gradients is good for on the digits: `python -m tests.benchmarks noise`.

A dense net, 30 epochs at a constant rate: `GrowBatchByNoise`, from 16 × 2 examples, against fixed batches of 32 to 256. Both
sides are tuned alike, rate and target or batch, by the mean loss on the validation part over five seeds: the accuracy on its
180 images hardly tells them apart. Rows: mean test accuracy over ten other seeds, with the 90% interval of the paired
differences, and updates; against the tuned fixed batch, and against each other at the rate that is best for it.
"""

import statistics

import keras

import tfnn
from tests.benchmarks.fit import dense
from tests.benchmarks.growth import difference
from tests.benchmarks.timing import Row

EPOCHS, RATES = 30, (0.05, 0.1, 0.2, 0.4)
TARGETS, FIXED = (0.5, 1, 2), (2, 4, 8, 16)  # fixed batches in micro-batches of 16
TUNING, TESTING = range(101, 106), range(1, 11)


class Side:
    """One way to choose the batch: a model that is trained again and again in one trace."""

    def __init__(self, data, accumulate, target=None):
        self.data, self.accumulate = data, accumulate
        self.name = f"batch {16 * accumulate}" if target is None else f"by noise, target {target}"
        growth = tfnn.callbacks.GrowBatchByNoise(target, max_batch_size=256, interval=4) if target else None
        self.callbacks = [growth] if target else []
        self.model = dense()
        self.model.compile(tfnn.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])

    def run(self, rate, seed, part):
        """(loss on a part of the data, accuracy on it in percent, updates)."""
        keras.utils.set_random_seed(seed)
        self.model.set_weights(dense().get_weights())
        for variable in self.model.optimizer.variables:
            variable.assign(0 * variable)
        self.model.optimizer.learning_rate = rate
        options = {"accumulate": self.accumulate, "seed": seed, "nonfinite": "ignore"}  # some rates are too large
        history = tfnn.fit(self.model, *flat(self.data.train), 16, EPOCHS, 0, self.callbacks, **options)
        loss, accuracy = self.model.evaluate(*flat(part), len(part.y), verbose=0)
        return loss, 100 * accuracy, history.updates

    def tuned(self):
        """(mean loss on the validation part, rate, this side), of the best rate."""
        mean = lambda rate: statistics.mean(self.run(rate, seed, self.data.validation)[0] for seed in TUNING)
        return min((mean(rate), rate, self) for rate in RATES)


def flat(part):
    return part.x.reshape(-1, 64).astype("float32") / 16, part.y


def rows():
    data = tfnn.data.digits()
    _, rate, grows = min(Side(data, 2, target).tuned() for target in TARGETS)
    *_, accuracies, updates = zip(*(grows.run(rate, seed, data.test) for seed in TESTING))
    for place, (_, their_rate, fixed) in enumerate(sorted(Side(data, k).tuned() for k in FIXED)):
        *_, their_accuracies, their_updates = zip(*(fixed.run(their_rate, seed, data.test) for seed in TESTING))
        what, peer_name = f"{grows.name}, rate {rate}", f"{fixed.name}, rate {their_rate}{'' if place else ' (tuned)'}"
        mean, half = difference(accuracies, their_accuracies)
        ours, peer = statistics.mean(accuracies), statistics.mean(their_accuracies)
        yield Row(f"{what}, {mean:+.2f} ± {half:.2f}", peer_name, ours, peer, "% right", ours / peer)
        ours, peer = statistics.mean(updates), statistics.mean(their_updates)
        yield Row(what, peer_name, ours, peer, "updates", peer / ours)
