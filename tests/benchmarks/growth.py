"""Grow the batch where the rate would decay (Smith et al. 2018), on the digits: `python -m tests.benchmarks growth`.

A ResNet-8, 40 epochs, ten seeds, the same initial weights and order of examples for all sides. "decay" halves the rate three
times; "growth" doubles the batch instead, from 32 to 256; "hybrid" does so up to 128 and then halves the rate; "noise" has
the batch follow half of the measured critical batch size up to a tenth of the examples, at a constant rate (chosen with seeds
101 and 102; the whole of it, up to 256, was unstable at this rate). All sum micro-batches of 16, so BatchNorm is the same.

Rows: test accuracy with the 90% interval of the paired differences, updates of a run, updates and seconds until the accuracy
on the validation part is first 97%; then what each callback costs. With `--pictures DIR` the training loss is drawn against
epochs and against updates.
"""

import dataclasses
import pathlib
import statistics
import tempfile
import time

import keras
import numpy as np

import tfnn
from tests.benchmarks.fit import compiled, dense
from tests.benchmarks.timing import Row, compare
from tfnn.cli.threads import intra_op_threads, set_threads

EPOCHS, MILESTONES, RATE = 40, [8, 15, 22], 0.1
T_9 = 1.833  # Student's t with 9 degrees of freedom, 90%
REACHED = 0.97
SWAP = tfnn.callbacks.SwapDecayForGrowth
WAYS = {
    "decay": lambda: tfnn.callbacks.LearningRateScheduler(halved()),
    "growth": lambda: SWAP(halved(), max_batch_size=256),
    "hybrid": lambda: SWAP(halved(), max_batch_size=128),
    "noise": lambda: tfnn.callbacks.GrowBatchByNoise(target=0.5, interval=10),
}


def halved():
    return tfnn.schedules.StepDecay(RATE, MILESTONES, 0.5)


@dataclasses.dataclass
class Training:
    """What a run gave: test accuracy in percent, and by epoch the loss, updates done, seconds gone by, accuracies."""

    accuracy: float
    traces: int
    loss: list
    updates: list
    seconds: list
    val_accuracy: list

    def until_reached(self):
        """(updates, seconds) until the validation accuracy was first `REACHED`; of the whole run where it never was."""
        epoch = next((epoch for epoch, value in enumerate(self.val_accuracy) if value >= REACHED), -1)
        return self.updates[epoch], self.seconds[epoch]


class Clock(keras.callbacks.Callback):
    """Updates done and seconds gone by at the end of each epoch."""

    def on_train_begin(self, logs=None):
        self.began, self.updates, self.seconds = time.perf_counter(), [], []

    def on_epoch_end(self, epoch, logs=None):
        self.updates.append(int(self.model.optimizer.iterations))
        self.seconds.append(time.perf_counter() - self.began)


def trained(data, way, seed):
    keras.utils.set_random_seed(seed)
    standardize = tfnn.layers.Standardize(axis=-1)
    standardize.adapt(data.train.x)
    model = tfnn.models.resnet(data.image_shape, 10, depth=8, width=16, standardize=standardize)
    tfnn.models.add_l2(model, 1e-3)
    optimizer = tfnn.optimizers.SGD(RATE, momentum=0.9, nesterov=True)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    clock, validation = Clock(), (data.validation.x, data.validation.y)
    options = {"accumulate": 2, "seed": seed, "validation_data": validation}
    history = tfnn.fit(model, data.train.x, data.train.y, 16, EPOCHS, 0, [WAYS[way](), clock], **options)
    accuracy, curves = 100 * tfnn.diagnose.accuracy(model, data.test), history.history
    return Training(accuracy, history.traces, curves["loss"], clock.updates, clock.seconds, curves["val_accuracy"])


def rows(pictures=None, seeds=range(1, 11)):
    data = tfnn.data.digits()
    set_threads(intra_op_threads(16, data.image_shape))
    runs = {way: [trained(data, way, seed) for seed in seeds] for way in WAYS}
    if pictures:
        draw(runs, pathlib.Path(pictures) / "growth.png")
    decay = runs.pop("decay")
    for way, found in runs.items():
        yield from against(way, found, decay)
    yield from overhead()


def against(way, found, decay):
    """The rows of one way against decay."""
    mean, half = difference(*([run.accuracy for run in side] for side in (found, decay)))
    ours, peer = (statistics.mean(run.accuracy for run in side) for side in (found, decay))
    yield Row(f"{way}, difference {mean:+.2f} ± {half:.2f}", "decay", ours, peer, "% right", ours / peer)
    ours, peer = (statistics.mean(run.updates[-1] for run in side) for side in (found, decay))
    yield Row(f"{way}, share of updates {ours / peer:.2f}", "decay", ours, peer, "updates", peer / ours)
    for index, unit in enumerate(("updates", "seconds")):
        ours, peer = (statistics.mean(run.until_reached()[index] for run in side) for side in (found, decay))
        yield Row(f"{way}, until {REACHED:.0%} on validation", "decay", ours, peer, unit, peer / ours)


def difference(ours, peers):
    """(mean, half of the 90% interval) of the differences between ten paired numbers."""
    pairs = [a - b for a, b in zip(ours, peers, strict=True)]
    return statistics.mean(pairs), T_9 * statistics.stdev(pairs) / len(pairs) ** 0.5


CALLBACKS = {
    "BatchSizeScheduler by update": lambda: tfnn.callbacks.BatchSizeScheduler({10: 64}, by="update"),
    "GrowBatchOnPlateau": lambda: tfnn.callbacks.GrowBatchOnPlateau("loss"),
    "SwapDecayForGrowth": lambda: SWAP(halved(), max_batch_size=32),
    "LearningRateScheduler by update": lambda: tfnn.callbacks.LearningRateScheduler(halved(), by="update"),
    "ReduceLROnPlateau": lambda: tfnn.callbacks.ReduceLROnPlateau("loss"),
    "NoiseScale": lambda: tfnn.callbacks.NoiseScale(),
    "GrowBatchByNoise": lambda: tfnn.callbacks.GrowBatchByNoise(max_batch_size=32),
}


def overhead():
    """Epochs of a dense net with each callback against the same without: the hardest case, as its updates take 50 µs."""
    data = tfnn.data.digits()
    x, y = data.train.x.reshape(-1, 64).astype("float32") / 16, data.train.y
    run = lambda model, callbacks: lambda: tfnn.fit(model, x, y, 16, 5, 0, callbacks, accumulate=2, seed=1)
    with tempfile.TemporaryDirectory() as logs:
        for name, make in {**CALLBACKS, "TensorBoard": lambda: tfnn.callbacks.TensorBoard(logs)}.items():
            yield from compare(name, run(compiled(dense), [make()]), {"without": run(compiled(dense), [])}, scale=1e3 / 5)


def draw(runs, path):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    by_epoch, by_update = figure.subplots(1, 2, sharey=True)
    for way, found in runs.items():
        loss, updates = (np.mean([getattr(run, name) for run in found], axis=0) for name in ("loss", "updates"))
        by_epoch.plot(range(1, EPOCHS + 1), loss, label=way)
        by_update.plot(updates, loss, label=way)
    by_epoch.set(xlabel="epochs", ylabel="training loss, mean over the seeds", yscale="log")
    by_update.set(xlabel="updates")
    for axes in by_epoch, by_update:
        axes.grid(alpha=0.3)
    by_update.legend()
    figure.savefig(path, dpi=120)
