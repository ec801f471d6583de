"""The result of a learning-rate range test: the loss against the rate, what follows from it, and a plot."""

import dataclasses

import numpy as np

from tfnn.diagnose.plot import new_figure, save


def smooth(losses, beta):
    """s_i = a_i / (1 − β^{i+1}) with a_i = β a_{i−1} + (1 − β) l_i and a_{−1} = 0."""
    average, smoothed = 0.0, []
    for i, loss in enumerate(losses):
        average = beta * average + (1 - beta) * loss
        smoothed.append(average / (1 - beta ** (i + 1)))
    return np.array(smoothed)


def first_diverged(smoothed, factor):
    """The first index at which the loss is not finite, or exceeds its minimum so far by more than (factor − 1) |minimum|."""
    lowest = np.minimum.accumulate(smoothed)
    bad = np.flatnonzero(~np.isfinite(smoothed) | (smoothed > lowest + (factor - 1) * np.abs(lowest)))
    return int(bad[0]) if bad.size else None


def steepest(rates, smoothed):
    """The index at which the loss falls fastest against log η, before its minimum; None if it does not fall.

    The first tenth is skipped, because the average of a few batches only shows how they differ.
    """
    begin, end = len(rates) // 10, int(np.argmin(smoothed)) + 1
    if end - begin < 2:
        return None
    slopes = np.gradient(smoothed[begin:end], np.log(rates[begin:end]))
    index = int(np.argmin(slopes))
    return begin + index if slopes[index] < 0 else None


@dataclasses.dataclass(frozen=True, repr=False)
class LearningRateCurve:
    """The loss of each update in a sweep over the learning rate; the result of `tfnn.find_learning_rate`.

    Attributes:
        learning_rates: (updates,), η of each update, up to the first that diverged.
        losses: (updates,), the loss of each batch before its update.
        smoothed: (updates,), the exponential moving average of the losses, with bias correction.
        diverged: whether the sweep ended early, because the loss was many times its minimum or not finite.

    Example:
        >>> curve = tfnn.find_learning_rate(model, x, y, batch_size=32)
        >>> curve.suggestion
    """

    learning_rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    diverged: bool

    @property
    def suggestion(self):
        """The rate at which the smoothed loss falls fastest against log η; None if it does not fall."""
        index = steepest(self.learning_rates, self.smoothed)
        return None if index is None else float(self.learning_rates[index])

    @property
    def at_minimum(self):
        """The rate at which the smoothed loss is lowest. A tenth of it is the other usual choice."""
        return float(self.learning_rates[np.argmin(self.smoothed)])

    def __repr__(self):
        rates, smoothed = self.learning_rates, self.smoothed
        end = f"diverged at {rates[-1]:.2g}" if self.diverged else "did not diverge"
        if self.at_minimum == rates[-1]:
            end = "the loss still falls there: a larger max_learning_rate shows more"
        lines = [
            f"{len(rates)} updates, learning rate {rates[0]:.2g} to {rates[-1]:.2g}; {end}",
            f"smoothed loss {smoothed[0]:.4g} at the start, lowest {smoothed.min():.4g} at {self.at_minimum:.2g}",
        ]
        if self.suggestion is None:
            return "\n".join([*lines, "no suggestion: the loss does not fall"])
        return "\n".join(
            [*lines, f"suggestion {self.suggestion:.2g}, the steepest descent; minimum / 10: {self.at_minimum / 10:.2g}"]
        )

    def plot(self, path=None):
        """A matplotlib figure of the loss against the learning rate.

        Args:
            path: the file to write, of a type that matplotlib knows (.png, .svg, .pdf); None writes nothing.

        Raises:
            ImportError: without matplotlib.
            ValueError: if matplotlib does not know the type of file.
        """
        figure = new_figure(8, 5)
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.plot(self.learning_rates, self.losses, color="tab:blue", alpha=0.3, linewidth=1, label="of each batch")
        axes.plot(self.learning_rates, self.smoothed, color="tab:blue", label="smoothed")
        marked = {"steepest descent": self.suggestion, "minimum / 10": self.suggestion and self.at_minimum / 10}
        for (name, rate), color in zip(marked.items(), ("tab:red", "tab:orange")):
            if rate:
                axes.axvline(rate, color=color, linestyle="--", linewidth=1, label=f"{name}: {rate:.2g}")
        descent = np.argmin(self.smoothed) + 1  # after it the loss may rise without bound
        low, high = self.losses[:descent].min(), self.losses[:descent].max()
        margin = 0.1 * (high - low or 1.0)
        axes.set_ylim(low - margin, high + 3 * margin)
        axes.set_xlabel("learning rate η")
        axes.set_ylabel("loss")
        axes.set_title("learning-rate range test", fontsize="medium")
        axes.grid(alpha=0.3)
        axes.legend()
        if path is not None:
            save(figure, path)
        return figure
