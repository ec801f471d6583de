"""What the measured noise of gradients is good for on the digits: `python -m tests.benchmarks noise`.

A dense net, 30 epochs at a constant rate: `GrowBatchByNoise`, from 16 × 2 examples, against fixed batches of 32 to 256. Each
side's rate is tuned by the mean accuracy on the validation part with seeds of its own. Rows: mean test accuracy, and updates.
"""

import statistics

import keras

import tfnn
from tests.benchmarks.fit import dense
from tests.benchmarks.timing import Row

EPOCHS, RATES, FIXED = 30, (0.02, 0.05, 0.1, 0.2), (2, 4, 8, 16)  # micro-batches of 16
TUNING, TESTING = (101, 102), range(1, 6)


class Side:
    """One way to choose the batch: a model that is trained again and again in one trace."""

    def __init__(self, data, accumulate, grows=False):
        self.data, self.accumulate = data, accumulate
        self.noise = tfnn.callbacks.GrowBatchByNoise(max_batch_size=256, interval=4) if grows else None
        self.model = dense()
        self.model.compile(tfnn.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")

    def run(self, rate, seed, part):
        """(accuracy on a part of the data in percent, updates)."""
        keras.utils.set_random_seed(seed)
        self.model.set_weights(dense().get_weights())
        for variable in self.model.optimizer.variables:
            variable.assign(0 * variable)
        self.model.optimizer.learning_rate = rate
        if self.noise and hasattr(self.noise, "averages"):
            self.noise.averages.assign(0 * self.noise.averages)
        callbacks = [self.noise] if self.noise else []
        x, y = flat(self.data.train)
        options = {"accumulate": self.accumulate, "seed": seed, "jit_compile": False}
        history = tfnn.fit(self.model, x, y, 16, EPOCHS, 0, callbacks, **options)
        x, y = flat(part)
        return 100 * float((self.model.predict_on_batch(x).argmax(-1) == y).mean()), history.updates

    def tuned(self):
        """(best mean accuracy on the validation part, its rate)."""
        mean = lambda rate: statistics.mean(self.run(rate, seed, self.data.validation)[0] for seed in TUNING)
        return max((mean(rate), rate) for rate in RATES)


def flat(part):
    return part.x.reshape(-1, 64).astype("float32") / 16, part.y


def rows():
    data = tfnn.data.digits()
    grows, fixed = Side(data, 2, grows=True), {k: Side(data, k) for k in FIXED}
    rates = {side: side.tuned()[1] for side in (grows, *fixed.values())}
    found = {side: [side.run(rate, seed, data.test) for seed in TESTING] for side, rate in rates.items()}
    ours, our_updates = (statistics.mean(column) for column in zip(*found[grows]))
    for k, side in fixed.items():
        accuracy, updates = (statistics.mean(column) for column in zip(*found[side]))
        what = f"by noise, rate {rates[grows]}"
        yield Row(what, f"batch {16 * k}, rate {rates[side]}", ours, accuracy, "% right", ours / accuracy)
        yield Row(what, f"batch {16 * k}, rate {rates[side]}", our_updates, updates, "updates", updates / our_updates)
