"""Test accuracy of `tfnn train` on the digits over ten seeds: `python -m tests.benchmarks accuracy`.

The row's `peer` is the accuracy that is promised, in percent; a ratio above 1 means that the mean is better.
"""

import argparse
import statistics

import tfnn
from tests.benchmarks.timing import Row
from tfnn.cli import recipe, train
from tfnn.cli.threads import set_threads

PROMISED = 98.5


def rows(seeds=range(1, 11)):
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    data = tfnn.data.digits()
    set_threads(recipe.threads(parser.parse_args([]), data))
    found = []
    for seed in seeds:
        options = parser.parse_args(["--seed", str(seed)])
        train.fill_in(options, len(data.train.y))
        model = recipe.compiled_model(options, data)
        recipe.train(model, data, options)
        found.append(100 * tfnn.diagnose.accuracy(model, data.test))
        yield Row(f"digits, seed {seed}", "promised mean", found[-1], PROMISED, "% right", found[-1] / PROMISED)
    mean, error = statistics.mean(found), statistics.stdev(found) / len(found) ** 0.5
    yield Row(f"digits, mean of {len(found)} (± {error:.2f})", "promised mean", mean, PROMISED, "% right", mean / PROMISED)
