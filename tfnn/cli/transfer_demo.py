"""`tfnn transfer --demo` shows what a backbone that knows the digits 0 to 4 is worth for the digits 5 to 9.

For each seed a small ResNet is trained on the digits 0 to 4 in their quarter turns and mirror images. These are 40 classes:
features learnt from 5 classes alone can tell little more than those apart. The images are shifted, turned and zoomed a
little. Then, with n examples for each of the digits 5 to 9, the last 0, 1, 2 or 3 stages of the network and a new head are
retrained. For comparison, the same network is trained on the same examples from the weights that the backbone started with.
Neither augments the examples. Augmentation, too, knows how digits may vary. So a last arm trains from scratch on examples
that are shifted, turned and zoomed as those of the backbone were.

All runs have equally many updates on equally many rows, among which each of the n examples stands 100 / n times, so that
each arm is one graph, traced once. BatchNorm's moments have a memory of ten batches, as a run has only some hundred updates.
The rate of each arm was chosen for n = 5 and 10, on images of the training and validation parts that the seeds 1000 to 1007
had not drawn.

With 20 seeds (0 to 19), retraining all stages gains 7.3 ± 1.7 points over training from scratch at n = 5, 5.1 ± 1.0 at
n = 10 and 1.2 ± 0.2 at n = 100; over scratch with augmentation 2.3 ± 1.5, 1.8 ± 1.0 and 2.3 ± 0.8. The best number of stages
rises with n: one at n = 1, two at n = 2, all from n = 5 on, by less than the noise among those three; the head alone gains
14.7 ± 4.8 at n = 1 and loses 2.3 ± 0.6 at n = 100. scikit-learn's logistic regression on the same pixels has 89.2% at n = 5,
91.8% at n = 10 and 96.3% at n = 100.
"""

import dataclasses
import math
import pathlib
import statistics

import keras
import numpy as np

import tfnn
from tfnn import random
from tfnn.cli.drawing import check_drawable
from tfnn.cli.run_folder import check_writable
from tfnn.cli.threads import intra_op_threads, set_threads
from tfnn.diagnose.plot import new_figure, save
from tfnn.diagnose.table import aligned
from tfnn.internals.layers import layers_of
from tfnn.transfer import classifier
from tfnn.transfer.freezing import stages_of

KNOWN, NEW = range(5), range(5, 10)  # digits of the backbone, and of the transfer
COUNTS = 1, 2, 5, 10, 20, 50, 100  # n, divisors of the largest
SEEDS = 5
SCRATCH, AUGMENTED = "scratch", "augmented"
ARMS = 0, 1, 2, 3, SCRATCH, AUGMENTED  # stages that are retrained; or all, from the first weights
TRANSFERS = ARMS[:4]
NAMES = {0: "head only", 1: "1 stage", 2: "2 stages", 3: "all 3", SCRATCH: "from scratch", AUGMENTED: "scratch, augmented"}
LINES = {SCRATCH: "--", AUGMENTED: ":"}
RATES = {0: 2e-2, 1: 5e-3, 2: 5e-3, 3: 5e-3, SCRATCH: 5e-3, AUGMENTED: 1e-2}
BATCH = 32


def run(options):
    if options.out:
        check_writable(pathlib.Path(options.out))
        check_drawable("transfer.png")
    set_threads(intra_op_threads(BATCH, (8, 8, 1)))
    outcome = demo(range(options.seed, options.seed + SEEDS), tell=lambda line: print(line, flush=True))
    print(outcome)
    if options.out:
        path = pathlib.Path(options.out) / "transfer.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        save(plot(outcome), path)
        print(f"plot    {path}")
    return 0


def demo(seeds, counts=COUNTS, arms=ARMS, tell=lambda line: None):
    """Accuracies on the test part of all arms, with all numbers of examples, for all seeds.

    Args:
        seeds: they set the first weights, the examples that are drawn, and their order.
        counts: values of n, divisors of 100.
        arms: some of `ARMS`.
        tell: called with a line for each step.

    Returns:
        An `Outcome`.
    """
    seeds, data = list(seeds), tfnn.data.digits()
    train, test = pixels(data.train, NEW), pixels(data.test, NEW)
    known = turned_and_mirrored(*pixels(data.train, KNOWN))
    tell(
        f"digits  0 to 4: {len(known[1]) // 8} images for the backbone; "
        f"5 to 9: n for each class, of {len(train[1])}; {len(test[1])} to test"
    )
    starts = {seed: first_weights(seed) for seed in seeds}
    learner = Learner(40, "all", rate=3e-3, rows=len(known[1]), epochs=12, augment=True)
    backbones = {}
    for seed in seeds:
        learner.train(starts[seed], *known, seed)
        backbones[seed] = learner.body()
        tell(f"seed {seed}: a backbone is trained, accuracy {learner.accuracy(*known):.1%} of its 40 classes")
    accuracies = np.zeros((len(arms), len(counts), len(seeds)))
    for i, arm in enumerate(arms):
        begin = backbones if arm in TRANSFERS else starts
        learner = for_arm(arm)
        for j, n in enumerate(counts):
            for k, seed in enumerate(seeds):
                learner.train(begin[seed], *drawn(train, n, seed), seed)
                accuracies[i, j, k] = learner.accuracy(*test)
        tell(f"{NAMES[arm]}: {', '.join(f'{a:.1%}' for a in accuracies[i].mean(1))}")
    return Outcome(tuple(arms), tuple(counts), tuple(seeds), accuracies)


def for_arm(arm):
    unfreeze = arm if arm in TRANSFERS else "all"
    return Learner(5, unfreeze, RATES[arm], rows=5 * max(COUNTS), epochs=10, augment=arm == AUGMENTED)


# Data ----------------------------------------------------------------------------------------------------------------


def pixels(part, digits):
    """Images (N, 8, 8, 1) of 0 to 1 and labels from 0 on."""
    chosen = np.isin(part.y, digits)
    return part.x[chosen].astype("float32") / 16, part.y[chosen] - digits[0]


def turned_and_mirrored(x, y):
    """Each image in four quarter turns, and those of its mirror image; each of the eight is a class of its own."""
    turns = [np.rot90(image, turn, axes=(1, 2)) for image in (x, x[:, :, ::-1]) for turn in range(4)]
    return np.concatenate(turns), np.concatenate([y + 5 * place for place in range(len(turns))])


def drawn(part, n, seed):
    """n examples for each class, repeated to `5 · max(COUNTS)` rows. Examples of a smaller n are among those of a larger."""
    x, y = part
    order = random.permutation(len(y), seed=seed, epoch=0)
    rows = np.concatenate([order[y[order] == label][:n] for label in range(5)])
    rows = np.tile(rows, max(COUNTS) // n)
    return x[rows], y[rows]


# Network -------------------------------------------------------------------------------------------------------------


def body():
    """The network without its head: images (B, 8, 8, 1) to features (B, 64), in three stages."""
    resnet = tfnn.models.resnet((8, 8, 1), 5, depth=8, width=16)
    for layer in layers_of(resnet):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9
    return keras.Model(resnet.inputs, resnet.layers[-2].output)


def first_weights(seed):
    keras.utils.set_random_seed(seed)
    return [weight.numpy() for weight in body_weights(classifier(body(), 5))]


def body_weights(model):
    return [weight for stage in stages_of(model) for weight in stage.weights]


class Learner:
    """A classifier that is trained again and again in one trace, each time from given weights of its body.

    Args:
        classes: the number of classes.
        unfreeze: how many of the last stages are trained, or "all".
        rate: η of Adam at the first update, which falls to 0 as half a cosine.
        rows, epochs: of each training.
        augment: whether images are shifted, turned and zoomed.
    """

    def __init__(self, classes, unfreeze, rate, rows, epochs, augment=False):
        self.epochs = epochs
        self.model = classifier(body(), classes, unfreeze=unfreeze)
        optimizer = tfnn.optimizers.Adam(tfnn.schedules.Cosine(rate, epochs * -(-rows // BATCH)))
        self.model.compile(optimizer, "sparse_categorical_crossentropy")
        optimizer.build(self.model.trainable_variables)
        turn, shift, zoom = (
            tfnn.layers.RandomRotation(0.04),
            tfnn.layers.RandomTranslation(0.12, 0.12),
            tfnn.layers.RandomZoom(0.15),
        )
        self.augment = tfnn.layers.Augment([turn, shift, zoom]) if augment else None
        self.state = [(variable, variable.numpy()) for variable in [*self.model.variables, *optimizer.variables]]

    def train(self, weights, x, y, seed):
        for variable, value in [*self.state, *zip(body_weights(self.model), weights)]:
            variable.assign(value)
        tfnn.fit(self.model, x, y, BATCH, self.epochs, verbose=0, seed=seed, augment=self.augment)

    def body(self):
        return [weight.numpy() for weight in body_weights(self.model)]

    def accuracy(self, x, y):
        return float(np.mean(tfnn.predict(self.model, x, 256, verbose=0).argmax(1) == y))


# Outcome -------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Outcome:
    """accuracies: (arms, counts, seeds), 0 to 1."""

    arms: tuple
    counts: tuple
    seeds: tuple
    accuracies: np.ndarray

    def of(self, arm, n):
        return self.accuracies[self.arms.index(arm), self.counts.index(n)]  # (seeds,)

    def gain(self, arm, n, other=SCRATCH):
        """(mean, half of the 95 % interval) of arm − other with the same seeds."""
        return interval(self.of(arm, n) - self.of(other, n))

    def best(self, n):
        """The numbers of stages whose mean accuracy is the highest, or within a standard error of the paired difference of it.

        The highest comes first. This is the one-standard-error rule (Breiman et al. 1984, section 3.4.3).
        """
        stages = sorted((arm for arm in self.arms if arm in TRANSFERS), key=lambda arm: -self.of(arm, n).mean())
        behind = {arm: self.of(stages[0], n) - self.of(arm, n) for arm in stages}
        return [arm for arm in stages if behind[arm].mean() <= standard_error(behind[arm])]

    def __str__(self):
        transfers = [arm for arm in self.arms if arm in TRANSFERS]
        columns = [["n", *map(str, self.counts)]]
        for arm in self.arms:
            cells = [(100 * self.of(arm, n).mean(), 100 * standard_error(self.of(arm, n))) for n in self.counts]
            columns.append([NAMES[arm], *(f"{mean:.1f} ± {error:.1f}" for mean, error in cells)])
        columns.append(["best", *(", ".join(NAMES[arm] for arm in self.best(n)) for n in self.counts)])
        lines = [
            f"accuracy in %, mean and standard error of {len(self.seeds)} seeds; best: stages within a standard error of it"
        ]
        if SCRATCH in self.arms:
            for arm in transfers:
                cells = [(100 * value for value in self.gain(arm, n)) for n in self.counts]
                columns.append([f"{NAMES[arm]} gains", *(f"{mean:+.1f} ± {half:.1f}" for mean, half in cells)])
            lines[0] += "\ngains: over from scratch, with the 95 % interval of the paired difference"
        columns = [aligned(column, ">") for column in columns]
        return "\n".join([*lines, *("  ".join(cells) for cells in zip(*columns))])


def standard_error(values):
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def interval(values):
    """(mean, half of Student's 95 % interval)."""
    return float(np.mean(values)), student(len(values) - 1) * standard_error(values)


def student(freedom):
    """97.5 % quantile of Student's t, to 1 % from 4 degrees of freedom on (Abramowitz & Stegun 1964, 26.7.5)."""
    z = statistics.NormalDist().inv_cdf(0.975)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


def plot(outcome):
    """Draws accuracy over n with a line for each arm, and below it the gain over training from scratch."""
    figure = new_figure(8, 7)
    above, below = figure.subplots(2, sharex=True, height_ratios=(3, 2))
    for index, arm in enumerate(outcome.arms):
        style = dict(marker="o", markersize=4, capsize=3, linewidth=1.5, label=NAMES[arm])
        style |= dict(color=f"C{index}") if arm in TRANSFERS else dict(color="black", linestyle=LINES[arm])
        shift = 1.03 ** (index - (len(outcome.arms) - 1) / 2)  # so that error bars stand beside each other
        x = [n * shift for n in outcome.counts]
        values = [interval(outcome.of(arm, n)) for n in outcome.counts]
        above.errorbar(x, *(100 * np.transpose(values)), **style)
        if arm != SCRATCH and SCRATCH in outcome.arms:
            below.errorbar(x, *(100 * np.transpose([outcome.gain(arm, n) for n in outcome.counts])), **style)
    below.axhline(0, color="black", linestyle="--", linewidth=1)
    below.set_xscale("log")
    below.set_xticks(outcome.counts, map(str, outcome.counts))
    below.minorticks_off()
    below.set_xlabel("n, examples of each of the digits 5 to 9")
    above.set_ylabel("accuracy on the test part, %")
    below.set_ylabel("gain over\ntraining from scratch, points")
    above.legend(loc="upper left", bbox_to_anchor=(1, 1), title="retrained")
    for axes in figure.axes:
        axes.grid(alpha=0.3)
    figure.suptitle(f"From the digits 0 to 4 to 5 to 9: means of {len(outcome.seeds)} seeds, 95 % intervals", fontsize="medium")
    return figure
