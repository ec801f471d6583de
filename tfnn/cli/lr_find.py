"""Find a learning rate: train with one that rises from update to update, and look where the loss falls.

This is the range test of Smith 2017 (arXiv:1506.01186) on the model that tfnn train would train with the same options.
Only the picture is saved.
"""

import pathlib

import tfnn
from tfnn import distribute
from tfnn.cli import options as shared
from tfnn.cli import recipe
from tfnn.cli.drawing import check_drawable
from tfnn.cli.reading import check_channels, read_data
from tfnn.cli.threads import set_threads


def add_arguments(parser):
    add = parser.add_argument_group("data and model").add_argument
    shared.add_data(add)
    shared.add_model(add)
    add = parser.add_argument_group("sweep").add_argument
    shared.add_update(add)
    add("--min", type=float, default=1e-7, metavar="η", help="the rate of the first update (default 1e-7)")
    add("--max", type=float, default=10.0, metavar="η", help="the rate of the last update (default 10)")
    add("--updates", type=int, default=100, metavar="N", help="how many updates, unless the loss diverges before (default 100)")
    add = parser.add_argument_group("where").add_argument
    shared.add_strategy(add)
    add("--out", metavar="FILE", help="draw the curve: .png, .svg, .pdf (needs matplotlib)")


def run(options):
    if options.out:
        check_out(options.out)
    data = read_data(options)
    check_channels(options, data)
    shared.check_update(options, len(data.train.y))
    if not 0 < options.min < options.max < float("inf"):
        raise ValueError(f"--min {options.min:g} and --max {options.max:g} must be positive and finite, the first one smaller")
    if not 2 <= options.updates < 2**31:
        raise ValueError(f"--updates {options.updates} must be at least 2")
    set_threads(recipe.threads(options, data))
    with distribute.strategy(options.strategy).scope():
        model = recipe.compiled(options, data, options.min)
        print(f"data    {data.name}: {len(data.train.y)} train; model {model.name}, batch {options.batch_size}", flush=True)
        curve = tfnn.find_learning_rate(
            model,
            data.train.x,
            data.train.y,
            options.batch_size,
            options.min,
            options.max,
            options.updates,
            seed=options.seed,
        )
    print(curve)
    if options.out:
        curve.plot(options.out)
        print(f"curve   {options.out}")
    return 0


def check_out(out):
    path = pathlib.Path(out)
    if not path.absolute().parent.is_dir() or path.is_dir():
        raise ValueError(f"--out {out}: must be a file in a folder that exists")
    check_drawable(path)
