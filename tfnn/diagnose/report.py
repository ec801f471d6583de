"""The result of `propagation`: numbers for each layer, with a verdict, a table, a plot and a log."""

import dataclasses
import math
import pathlib
import textwrap

import keras
import numpy as np
import tensorflow as tf

from tfnn.diagnose.plot import plot
from tfnn.diagnose.statistics import Moments
from tfnn.diagnose.table import WIDTH, table
from tfnn.diagnose.verdict import verdict


@dataclasses.dataclass(frozen=True)
class LayerReport:
    """The numbers of one layer in one run.

    Attributes:
        path: its name from the model down, such as "residual_block/conv2d", with a number if it ran before.
        kind: the name of its class.
        shape: the shape of its output for one example.
        activation: `Moments` of its output.
        gradient: `Moments` of the loss's gradient with respect to its output; None if the loss does not depend on it.
        dead: the share of units that are 0 for every example and position; None if the layer has no activation, or
            one that goes below 0.
        saturated: the share of outputs of tanh or sigmoid that lie within 1% of its range from a bound; None for other
            layers.
        weight_norm: ‖θ‖ of all its trainable weights; None if it has none.
        update_ratio: ‖Δθ‖/‖θ‖ of one update; None without weights, without an optimizer, or if all weights are 0.
        prediction: whether its output is one of the model's.

    Example:
        >>> first = tfnn.diagnose.propagation(model, (x[:64], y[:64])).layers[0]
        >>> first.path, first.activation.variance, first.update_ratio
    """

    path: str
    kind: str
    shape: tuple
    activation: Moments
    gradient: Moments | None
    dead: float | None
    saturated: float | None
    weight_norm: float | None
    update_ratio: float | None
    prediction: bool


@dataclasses.dataclass(frozen=True, repr=False)
class Propagation:
    """How a signal and its gradient passed through a model; the result of `tfnn.diagnose.propagation`.

    Attributes:
        layers: a tuple of `LayerReport`s, in the order in which the layers ran.
        loss: the loss of the batch.
        learning_rate: the learning rate of the update; None without an optimizer.

    Example:
        >>> found = tfnn.diagnose.propagation(model, (x[:64], y[:64]))
        >>> print(found.verdict)
    """

    layers: tuple
    loss: float
    learning_rate: float | None

    @property
    def verdict(self):
        """One line that says what is wrong and where, or "healthy"; see `tfnn/diagnose/verdict.py` for the rules."""
        return verdict(self.layers, self.loss)

    def __repr__(self):
        below = [f"loss {self.loss:.4g}{update_note(self)}", f"verdict: {self.verdict}"]
        return "\n".join([table(self.layers), *(textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in below)])

    def plot(self, path=None):
        """A matplotlib figure of variances, dead and saturated shares and update ratios over the layers.

        Args:
            path: the file to write, of a type that matplotlib knows (.png, .svg, .pdf); None writes nothing.

        Raises:
            ImportError: without matplotlib.
            ValueError: if matplotlib does not know the type of file.
        """
        return plot(self, path)

    def log(self, directory, step=0):
        """Writes an event file for TensorBoard: each number as a float32 scalar `QUANTITY/LAYER`, and the verdict as text.

        Raises:
            OSError: if the directory cannot be made.
        """
        pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
        with tf.summary.create_file_writer(str(directory)).as_default(step):
            for layer in self.layers:
                for quantity, value in quantities(layer).items():
                    if value is not None:
                        tf.summary.scalar(f"{quantity}/{layer.path}", value)
            tf.summary.text("verdict", self.verdict)

    def to_dict(self):
        """The report as plain numbers, strings and lists for JSON; NaN and infinity become None."""
        return keras.tree.map_structure(finite, {"verdict": self.verdict, **dataclasses.asdict(self)})


def finite(value):
    return None if isinstance(value, float) and not math.isfinite(value) else value


def update_note(report):
    """A note on the size of the update; the rule of thumb is 1e-3 (Karpathy, CS231n notes, "Neural Networks Part 3")."""
    if report.learning_rate is None:
        return ""
    update = f"; one update at learning rate {report.learning_rate:.3g}"
    moved = [layer.update_ratio for layer in report.layers if layer.update_ratio]
    if not moved:
        return f"{update} changes no weights"
    return f"{update} changes a layer's weights by {np.median(moved):.1e} of their norm (median; rule of thumb: 1e-3)"


def quantities(layer):
    gradient = layer.gradient
    return {
        "activation_mean": layer.activation.mean,
        "activation_variance": layer.activation.variance,
        "gradient_mean": gradient and gradient.mean,
        "gradient_variance": gradient and gradient.variance,
        "dead": layer.dead,
        "saturated": layer.saturated,
        "weight_norm": layer.weight_norm,
        "update_ratio": layer.update_ratio,
    }
