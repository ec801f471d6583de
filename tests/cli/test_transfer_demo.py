"""`tfnn transfer --demo`: its parts, and what it promises."""

import itertools

import numpy as np
import pytest

import tfnn
from tfnn.cli import transfer_demo
from tfnn.cli.transfer_demo import AUGMENTED, SCRATCH, Outcome, demo, drawn, interval, pixels, plot, turned_and_mirrored


def outcome(**means):
    """Of two seeds that lie 2 points apart; accuracies of 0, 1, 2 stages and scratch for n = 5 and 50."""
    spread = np.array([-0.01, 0.01])
    accuracies = np.stack([[mean + spread for mean in pair] for pair in means.values()])
    arms = tuple(int(name[1:]) if name != SCRATCH else SCRATCH for name in means)
    return Outcome(arms, (5, 50), (0, 1), accuracies)


def test_drawn_examples_are_n_of_each_class_and_a_larger_n_holds_those_of_a_smaller():
    part = pixels(tfnn.data.digits().train, range(5, 10))
    assert part[0].shape[1:] == (8, 8, 1) and part[0].max() == 1 and set(part[1]) == set(range(5))
    before = set()
    for n in transfer_demo.COUNTS:
        x, y = drawn(part, n, seed=3)
        assert x.shape == (500, 8, 8, 1) and np.bincount(y).tolist() == [100] * 5
        images = {(image.tobytes(), label) for image, label in zip(x, y)}
        assert len(images) == 5 * n and before < images
        before = images
    assert not np.array_equal(drawn(part, 5, seed=3)[0], drawn(part, 5, seed=4)[0])


def test_turned_and_mirrored_images_are_classes_of_their_own():
    x, y = np.arange(2 * 9.0).reshape(2, 3, 3, 1), np.array([0, 4])
    images, labels = turned_and_mirrored(x, y)
    assert labels.tolist() == [0, 4, 5, 9, 10, 14, 15, 19, 20, 24, 25, 29, 30, 34, 35, 39]
    np.testing.assert_array_equal(images[3, :, :, 0], np.rot90(x[1, :, :, 0]))
    np.testing.assert_array_equal(images[9, :, :, 0], np.fliplr(x[1, :, :, 0]))
    of_first = images[::2]
    assert len({image.tobytes() for image in of_first}) == 8


def test_the_interval_is_that_of_student():
    for count, quantile in (5, 2.776), (20, 2.093):  # tables of t, 4 and 19 degrees of freedom
        values = np.random.default_rng(count).normal(size=count)
        mean, half = interval(values)
        assert mean == pytest.approx(values.mean())
        assert half == pytest.approx(quantile * values.std(ddof=1) / count**0.5, rel=5e-3)


def test_a_gain_is_that_of_the_same_seeds():
    paired = outcome(_0=(0.8, 0.9), scratch=(0.7, 0.95))
    assert paired.gain(0, 5) == pytest.approx((0.1, 0)) and paired.gain(0, 50) == pytest.approx((-0.05, 0))


def test_the_best_numbers_of_stages_are_those_within_a_standard_error():
    clear = outcome(_0=(0.9, 0.9), _1=(0.8, 0.95), _2=(0.7, 0.97))
    assert (clear.best(5), clear.best(50)) == ([0], [2])
    noisy = Outcome((0, 1), (5,), (0, 1), np.array([[[0.8, 0.9]], [[0.9, 0.83]]]))  # 1.5 ± 8.5 points behind
    assert noisy.best(5) == [1, 0]


def test_table_and_plot_name_every_arm(tmp_path):
    shown = outcome(_0=(0.8, 0.9), _1=(0.85, 0.96), scratch=(0.7, 0.95))
    lines = str(shown).splitlines()
    assert "2 seeds" in lines[0] and "+10.0 ± 0.0" in lines[3] and "-5.0 ± 0.0" in lines[4] and len(lines) == 5
    figure = plot(shown)
    above, below = figure.axes
    assert [text.get_text() for text in above.get_legend().get_texts()] == ["head only", "1 stage", "from scratch"]
    assert below.get_xscale() == "log" and [tick.get_text() for tick in below.get_xticklabels()] == ["5", "50"]
    transfer_demo.save(figure, tmp_path / "transfer.png")
    assert (tmp_path / "transfer.png").read_bytes()[:4] == b"\x89PNG"


def test_a_frozen_body_stays_and_a_learner_repeats_itself_in_one_trace():
    part = pixels(tfnn.data.digits().train, range(5, 10))
    weights, examples = transfer_demo.first_weights(0), drawn(part, 5, seed=0)
    learner = transfer_demo.Learner(5, 1, rate=1e-2, rows=500, epochs=1)
    learner.train(weights, *examples, seed=0)
    first, traces = learner.body(), learner.model.history.traces
    learner.train(first, *drawn(part, 10, seed=1), seed=1)
    learner.train(weights, *examples, seed=0)
    assert (traces, learner.model.history.traces) == (1, 0)
    assert all(np.array_equal(a, b) for a, b in zip(first, learner.body()))
    changed = [not np.array_equal(a, b) for a, b in zip(weights, first)]
    names = [weight.path for weight in transfer_demo.body_weights(learner.model)]
    last = {id(weight) for weight in transfer_demo.stages_of(learner.model)[-1].weights}
    kept = [id(weight) not in last for weight in transfer_demo.body_weights(learner.model)]
    assert not any(change for change, keep in zip(changed, kept) if keep), names
    assert all(change for change, keep in zip(changed, kept) if not keep), names


@pytest.mark.slow  # a minute
def test_a_backbone_of_other_digits_helps():
    accuracies = demo([100, 101], counts=[5], arms=[3, SCRATCH]).accuracies.mean(axis=(1, 2))
    assert accuracies[0] > accuracies[1] > 0.5


@pytest.mark.slow  # half an hour
def test_transfer_beats_scratch_and_more_data_retrains_more_stages():
    found = demo(range(20))
    print(found)
    for n, other in itertools.product((5, 10), (SCRATCH, AUGMENTED)):
        mean, half = found.gain(3, n, other)
        assert mean > half
    most = [max(found.best(n)) for n in found.counts]
    assert most == sorted(most)
    (few, of_few), (many, of_many) = found.gain(0, 1), found.gain(0, 100)
    assert few > of_few and -many > of_many, "the head alone is better than scratch where there is little to learn from"
