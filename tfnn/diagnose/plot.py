"""Plots how a signal passes through a model."""

import io
import math
import pathlib
import textwrap

from tfnn import files
from tfnn.diagnose.table import shortened

LABELS = 50  # how many layer names fit side by side


def new_figure(width, height):
    """An empty figure; width and height are in inches."""
    try:
        from matplotlib.figure import Figure  # not pyplot, which opens windows and keeps every figure
    except ImportError:
        raise ImportError('a plot needs matplotlib, which is missing. Type: pip install "tfnn[diagnose]"') from None
    return Figure(figsize=(width, height), layout="constrained")


def plot(report, path=None):
    layers = report.layers
    width = min(max(8, 3 + 0.3 * len(layers)), 20)
    figure = new_figure(width, 9)
    forward, backward, update, share = figure.subplots(4, sharex=True)
    logarithmic(forward, [layer.activation.variance for layer in layers], "variance of\nactivations")
    logarithmic(backward, [layer.gradient and layer.gradient.variance for layer in layers], "variance of\ngradients")
    logarithmic(update, [layer.update_ratio for layer in layers], "update ratio\n‖Δθ‖ / ‖θ‖", usual=1e-3)
    shares(share, layers)
    step = -(-len(layers) // LABELS)
    share.set_xticks(range(0, len(layers), step), [shortened(layer.path, 28) for layer in layers[::step]], rotation=90)
    share.set_xlim(-0.5, len(layers) - 0.5)
    share.set_xlabel("layers in running order")
    for axes in figure.axes:
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    figure.align_ylabels()
    figure.suptitle(textwrap.fill(report.verdict, round(12 * width)), fontsize="medium")
    if path is not None:
        save(figure, path)
    return figure


def logarithmic(axes, values, label, usual=None):
    """Draws a line through the positive, finite values; marks zeros at the bottom, NaN and infinity at the top."""
    known = [(index, value) for index, value in enumerate(values) if value is not None]
    shown = [(index, value) for index, value in known if value > 0 and math.isfinite(value)]
    heights = [height for _, height in shown]
    axes.set_yscale("log")
    axes.set_ylabel(label)
    if shown:
        axes.plot(*zip(*shown), marker="o", markersize=4)
    if usual:
        axes.axhline(usual, color="grey", linestyle="--", linewidth=1, label="rule of thumb")
        heights.append(usual)
    if heights:
        axes.set_ylim(min(heights) / 10, max(heights) * 10)
    zeros = [index for index, value in known if value == 0]
    broken = [index for index, value in known if not math.isfinite(value)]
    for indices, height, marker, name in (zeros, 0.05, "v", "0"), (broken, 0.95, "x", "NaN or infinity"):
        if indices:
            share = axes.get_xaxis_transform()  # heights as shares of the panel
            axes.plot(indices, [height] * len(indices), marker, color="tab:red", markersize=5, transform=share, label=name)


def shares(axes, layers):
    axes.set_ylim(0, 100)
    axes.set_ylabel("dead, saturated\nin %")
    for name, color in ("dead", "tab:red"), ("saturated", "tab:orange"):
        known = [(index, 100 * getattr(layer, name)) for index, layer in enumerate(layers) if getattr(layer, name) is not None]
        if known:
            axes.bar(*zip(*known), color=color, label=name)


def save(figure, path):
    """Writes the figure whole or not at all."""
    path = pathlib.Path(path)
    check_kind(path, figure)
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix[1:], dpi=120)
    files.write(path, picture.getvalue())


def check_kind(path, figure):
    kinds = figure.canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in kinds:
        raise ValueError(f"{path}: a plot can be written as {', '.join(f'.{kind}' for kind in kinds)}")
