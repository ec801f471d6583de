"""What augmentation does for digits with 10 examples per class: `python -m tests.benchmarks augmented_accuracy`.

Ten seeds; each gives 100 training examples, initial weights and an order, the same for both sides. Strengths and number of
epochs were chosen by the mean error on the validation part with seeds 101 to 104: 4.3% with these, 4.4 to 9.4% with others,
10.1% without augmentation (11.0% after 150 epochs). The last row's ratio is the mean test error without augmentation over
that with it; what is promised is 4/3 or more.
"""

import statistics

import keras
import numpy as np

import tfnn
from tests.benchmarks.timing import Row
from tfnn.cli.threads import intra_op_threads, set_threads

T_9 = 2.262  # Student's t with 9 degrees of freedom, 95%


def rows(seeds=range(1, 11)):
    data = tfnn.data.digits()
    set_threads(intra_op_threads(20, data.image_shape))
    found = []
    for seed in seeds:
        found.append([error_on_test(data, seed, augment) for augment in (augmentation(), None)])
        yield Row(f"10 per class, seed {seed}", "without augmentation", *found[-1], "% wrong", found[-1][1] / found[-1][0])
    augmented, plain = zip(*found)
    share, half = share_of_error(augmented, plain)
    what = f"share of error {share:.2f} ± {half:.2f}"
    yield Row(what, "without augmentation", statistics.mean(augmented), statistics.mean(plain), "% wrong", 1 / share)


def error_on_test(data, seed, augment, epochs=300):
    """In percent."""
    return 100 * (1 - tfnn.diagnose.accuracy(trained(data, seed, augment, epochs), data.test))


def augmentation(rotation=0.02, shift=0.06, zoom=0.15):
    fill = {"fill_mode": "constant"}
    return tfnn.layers.Augment(
        [
            tfnn.layers.RandomRotation(rotation, **fill),
            tfnn.layers.RandomZoom(zoom, zoom, **fill),
            tfnn.layers.RandomTranslation(shift, shift, **fill),
        ],
        name="augment",
    )


def trained(data, seed, augment, epochs):
    part = small_part(data, seed)
    keras.utils.set_random_seed(seed)
    standardize = tfnn.layers.Standardize(axis=-1)
    standardize.adapt(part.x)
    model = tfnn.models.resnet(data.image_shape, 10, depth=8, width=16, standardize=standardize)
    tfnn.models.add_l2(model, 1e-3)
    rate = tfnn.schedules.InEpochs(tfnn.schedules.Warmup(tfnn.schedules.Cosine(0.1, epochs), 5), steps_per_epoch=5)
    model.compile(tfnn.optimizers.SGD(rate, momentum=0.9, nesterov=True), "sparse_categorical_crossentropy")
    tfnn.fit(model, part.x, part.y, 20, epochs, 0, augment=augment, seed=seed)
    return model


def small_part(data, seed, per_class=10):
    """`per_class` training examples of each class."""
    random = np.random.RandomState(seed)
    rows = [random.permutation(np.flatnonzero(data.train.y == label))[:per_class] for label in range(len(data.class_names))]
    return data.train.select(np.concatenate(rows))


def share_of_error(augmented, plain):
    """(Σ augmented / Σ plain, half of its 95% interval): the pairs' deviations from that share, linearised (delta method)."""
    share = sum(augmented) / sum(plain)
    deviations = [a - share * p for a, p in zip(augmented, plain)]
    return share, T_9 * statistics.stdev(deviations) / len(plain) ** 0.5 / statistics.mean(plain)
