"""The learning-rate range test (Smith 2017, Cyclical Learning Rates for Training Neural Networks, arXiv:1506.01186)."""

import contextlib
import random
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfnn import controls
from tfnn.checks import int32, number
from tfnn.controls.nested import optimizers_of
from tfnn.diagnose.learning_rate_curve import LearningRateCurve, first_diverged, smooth
from tfnn.internals.optimizers import put_rate, rate_in
from tfnn.internals.random import global_seeds, set_global_seeds
from tfnn.training import fit
from tfnn.training.graph.augmentation import steps_of
from tfnn.training.graph.held import NAMES
from tfnn.training.graph.variables import variables_of
from tfnn.training.resume import state


def find_learning_rate(
    model: keras.Model,
    x: Any = None,
    y: Any = None,
    batch_size: int | None = None,
    min_learning_rate: float = 1e-7,
    max_learning_rate: float = 10.0,
    updates: int = 100,
    *,
    smoothing: float = 0.9,
    divergence: float = 4.0,
    class_weight: dict[int, float] | str | None = None,
    sample_weight: Any = None,
    shuffle: bool = True,
    augment: Any = None,
    accumulate: int = 1,
    seed: int | None = None,
    jit_compile: bool | str = "auto",
) -> LearningRateCurve:
    """Trains with a learning rate that rises from update to update, records the loss against it, and undoes the training.

    η_i = η_min (η_max / η_min)^{i/(n−1)} for the updates i = 0 … n − 1: the range test of Smith 2017, arXiv:1506.01186,
    section 3.3, with the exponential sweep, the smoothed loss and the stopping rule of Gugger (2018, "How do you find a good
    learning rate"). The sweep runs in one static graph, which also keeps the losses. It stops when the smoothed loss is
    `divergence` times its minimum, or not finite.

    Afterwards, even after an exception or Ctrl-C, the model, the optimizer and its rate, metrics, random states and Python's
    generator are as before, to the bit. Only, a model that was not built is built, and a generator given for x has been read.

    The suggestion is the rate at which the smoothed loss falls most steeply. Smoothing lags by about smoothing / (1 −
    smoothing) updates, so the suggestion is too large rather than too small; more `updates` reduce the lag, and a tenth of
    the rate at the minimum, `at_minimum`, is the cautious choice. Both hold for this batch size, optimizer and weight decay.

    Args:
        model: a compiled `keras.Model`. Its training step must be Keras's own.
        x, y, sample_weight, batch_size, class_weight, shuffle, augment, accumulate, seed, jit_compile: as in `tfnn.fit`.
        min_learning_rate, max_learning_rate: η_min and η_max.
        updates: n; the data are repeated as often as needed. Of an optimizer with `gradient_accumulation_steps` they are the
            batches, of which several share a rate.
        smoothing: β of the moving average of losses, in [0, 1); 0 means no smoothing.
        divergence: the sweep stops when the smoothed loss is this many times its minimum; above 1.

    Returns:
        A `LearningRateCurve` with `learning_rates`, `losses`, `smoothed`, `suggestion`, and `plot(path)`.

    Raises:
        ValueError: if an argument is out of range, the model has a training step of its own, or `tfnn.fit` would raise it.

    Example:
        >>> curve = tfnn.find_learning_rate(model, x, y, batch_size=32)
        >>> curve.plot("curve.png")
        >>> model.optimizer.learning_rate = curve.suggestion
    """
    if not 0 < min_learning_rate < max_learning_rate < np.inf:
        rates = f"min_learning_rate={min_learning_rate} and max_learning_rate={max_learning_rate}"
        raise ValueError(f"{rates} must be positive and finite, the first below the second")
    number("smoothing", smoothing, 0, 1)
    if not divergence > 1:
        raise ValueError(f"divergence={divergence} must be above 1")
    updates, augment = int32("updates", updates, low=2), steps_of(augment)
    sweep = Sweep(min_learning_rate, max_learning_rate, updates)
    test = RangeTest(sweep, smoothing, divergence, augment)
    with undone(model, test), contextlib.suppress(Diverged):
        fit(
            model,
            x,
            y,
            batch_size,
            updates,  # epochs of one update; each goes on in the data where the last one ended
            verbose=0,
            callbacks=[test],
            shuffle=shuffle,
            class_weight=class_weight,
            sample_weight=sample_weight,
            steps_per_epoch=1,
            augment=augment,
            accumulate=accumulate,
            nonfinite="ignore",
            seed=seed,
            jit_compile=jit_compile,
        )
    curve = test.curve()
    if not curve.losses.size:
        raise ValueError("the loss of the first batch is not finite, whatever the rate: look at the data and the loss")
    return curve


class Sweep(keras.optimizers.schedules.LearningRateSchedule):
    """η(t) = η_min (η_max / η_min)^{(t − start)/(n−1)}, where `start` is the optimizer's count when the sweep begins."""

    def __init__(self, low, high, updates):
        self.low, self.ratio, self.updates, self.start = low, high / low, updates, 0

    def __call__(self, step):
        i = tf.cast(step, tf.float64) - self.start
        return tf.cast(self.low * self.ratio ** (i / (self.updates - 1)), keras.config.floatx())

    def get_config(self):
        return {"low": self.low, "high": self.low * self.ratio, "updates": self.updates}


class Diverged(Exception):
    """Ends the sweep early."""


class RangeTest(controls.Probe):
    """Replaces the learning rate by the sweep, keeps each update's loss and rate, and ends the run when it diverges."""

    def __init__(self, sweep, smoothing, divergence, augmentation):
        super().__init__()
        self.sweep, self.smoothing, self.divergence, self.augmentation = sweep, smoothing, divergence, augmentation
        self.rows = sweep.updates  # of what is told: one for each batch of gradients
        self.before, self.rates = None, []

    def on_train_begin(self, logs=None):
        """Keras calls this when all but the optimizer is built, and nothing is traced yet."""
        optimizer = self.model.optimizer
        state.build_optimizer(optimizer, self.model.trainable_variables, self.model)
        self.before = state.capture(self.model, variables=self.changed)
        self.rates = [(part, rate_in(part)) for part in optimizers_of(optimizer)]
        for part, _ in self.rates:
            self.sweep.start = float(tf.convert_to_tensor(part.iterations))
            put_rate(part, self.sweep)
        calls = max(part.gradient_accumulation_steps or 1 for part, _ in self.rates)  # for one update
        self.sweep.updates = max(2, -(-self.rows // calls))

    def changed(self):
        return variables_of(self.model, self.augmentation)

    def build(self, weights):
        self.count = tf.Variable(0, trainable=False)
        self.told = tf.Variable(tf.zeros((2, self.rows)), trainable=False)
        return [self.count, self.told]

    def measure(self, facts):
        here = tf.range(self.rows) == self.count
        self.told.assign(tf.where(here, tf.stack([facts.learning_rate, facts.loss])[:, None], self.told))
        self.count.assign_add(1)

    def on_update_begin(self, update):
        if self.curve().diverged:
            raise Diverged

    def curve(self):
        rates, losses = self.told.numpy()[:, : int(self.count)].astype(np.float64)
        smoothed = smooth(losses, self.smoothing)
        end = first_diverged(smoothed, self.divergence)
        if end is not None:  # keep the first that diverged, unless a plot cannot show it
            kept = end + int(np.isfinite(smoothed[end]))
            rates, losses, smoothed = rates[:kept], losses[:kept], smoothed[:kept]
        return LearningRateCurve(rates, losses, smoothed, diverged=end is not None)


@contextlib.contextmanager
def undone(model, test):
    """Undoes all that a run inside the block changes: the state that `test` captured, and what `fit` and Keras keep besides."""
    beside = {name: vars(model).get(name) for name in ("history", "stop_training", NAMES["graph"], NAMES["done"])}
    drawn, generator = random.getstate(), global_seeds()
    try:
        yield
    finally:
        for optimizer, rate in test.rates:
            put_rate(optimizer, rate)
        set_global_seeds(generator)
        if test.before:
            state.restore(model, (), *test.before, test.changed)
        for name, value in beside.items():
            if value is not None:
                object.__setattr__(model, name, value)
            elif name in vars(model):
                object.__delattr__(model, name)
        random.setstate(drawn)
