"""The bases of callbacks that steer a run or measure in it: all that a trainer knows of such callbacks."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfnn.controls.nested import updates_of
from tfnn.controls.run import current


class Steering(keras.callbacks.Callback):
    """A callback that is called between updates: under `tfnn.fit` when it asks for it, under `model.fit` before each batch.

    Updates are counted by the optimizer, so that the count continues over several runs.

    Example:
        >>> class Halve(tfnn.controls.Steering):
        ...     def updates_until_due(self, update):
        ...         return 100 - update % 100
        ...     def on_update_begin(self, update):
        ...         self.model.optimizer.learning_rate = 0.1 * 0.5 ** (update // 100)
    """

    only_under_model_fit = False  # whether its hooks at each batch have work to do under `model.fit` alone

    def updates_until_due(self, update: int) -> int | None:
        """After how many more updates, when `update` are done, it must be called again; None if it need not be."""
        return None

    def on_update_begin(self, update: int) -> None:
        """Called before update number `update`: before each one that it asked for, and perhaps before others."""

    def on_train_batch_begin(self, batch, logs=None):
        if current() is None:
            self.on_update_begin(updates_of(self.model))


class BatchSteering(Steering):
    """A callback that changes the batch size. An epoch's logs have the size in force at its end as `batch_size`.

    Args:
        mode: "accumulate", where the trainer builds a graph that sums the gradients of micro-batches of the first size; or
            "rebatch", where batches are really larger.

    Example:
        >>> class Double(tfnn.controls.BatchSteering):
        ...     def on_epoch_begin(self, epoch, logs=None):
        ...         super().on_epoch_begin(epoch, logs)
        ...         self.controls.set_batch_size(32 * 2**epoch)
        >>> history = tfnn.fit(model, x, y, batch_size=32, epochs=2, callbacks=[Double()])
    """

    def __init__(self, mode: str = "accumulate") -> None:
        super().__init__()
        if mode not in ("accumulate", "rebatch"):
            raise ValueError(f"mode={mode!r} must be 'accumulate' or 'rebatch'")
        self.mode = mode

    @property
    def controls(self):
        """The `Controls` of `tfnn.fit`, or of the `tfnn.data.growable` that `model.fit` runs on."""
        run = current() or getattr(self.growable, "controls", None)
        if run is None:
            raise RuntimeError(
                f"{type(self).__name__} changes the batch size, which model.fit fixes: call"
                " model.fit(tfnn.data.growable(x, y, batch_size), ...) without steps_per_epoch, or tfnn.fit(model, x, y, ...)"
            )
        return run

    @property
    def growable(self):
        """The `tfnn.data.growable` that `model.fit` runs on, or None."""
        return getattr((self.params or {}).get("steps"), "growable", None)

    def set_params(self, params):
        super().set_params(params)
        if self.growable is not None:
            self.growable.steered_by(self, params)

    def planned(self, update):
        """The planned batch size of update number `update`, or None; data that are read ahead ask for it."""
        return None

    def on_epoch_begin(self, epoch, logs=None):
        if self.growable is not None:
            self.growable.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["batch_size"] = self.controls.batch_size if self.growable is None else self.growable.last_size


class Freezing(keras.callbacks.Callback):
    """A callback that says which layers are trained in which epoch; a trainer asks it before it builds its graph.

    Example:
        >>> class HeadFirst(tfnn.controls.Freezing):
        ...     def freeze_for(self, epoch):
        ...         for layer in self.model.layers[:-1]:
        ...             layer.trainable = epoch > 0
        >>> history = tfnn.fit(model, x, y, epochs=2, callbacks=[HeadFirst()])
    """

    def freeze_for(self, epoch: int) -> None:
        """Sets the layers' `trainable` flags as they are to be in an epoch."""
        raise NotImplementedError


class Facts(NamedTuple):
    """What is known of an update just before it is made, as tensors.

    Example:
        >>> class ShowLoss(tfnn.controls.Probe):
        ...     def measure(self, facts):
        ...         tf.print(facts.update, facts.loss)
        >>> history = tfnn.fit(model, x, y, callbacks=[ShowLoss()])
    """

    update: Any  # its number, int64: the optimizer's count
    loss: Any  # the mean over the batch
    learning_rate: Any
    examples: Any  # the number in the batch, float32
    batch_size: Any  # the number that the batch was to have; the last batch of an epoch may have fewer
    weights: Any  # the trainable variables
    gradients: Any  # the means over the batch, in the weights' order; zeros where the loss does not depend on a weight
    micro_batch: Any  # the examples of each part whose gradients were summed; the last part may have fewer
    parts: Any  # the number of parts, int32
    part_squares: Any  # (weights,): Σ_j |g_j|² over the parts, if a probe wants it


class Probe(Steering):
    """A callback that measures inside the graph, at every `interval`-th update.

    A subclass has a method `measure`, which is traced once, and keeps its findings in variables that it makes in `build`.
    A checkpoint saves them, and an update that is undone leaves them as they were.

    Example:
        >>> class LargestGradient(tfnn.controls.Probe):
        ...     def build(self, weights):
        ...         self.largest = tf.Variable(0.0, trainable=False)
        ...         return [self.largest]
        ...     def measure(self, facts):
        ...         self.largest.assign(tf.maximum(self.largest, tf.linalg.global_norm(facts.gradients)))
    """

    interval = 1
    optional = False  # whether a model that hides its gradients is trained without the probe instead of being refused
    wants_parts = False  # whether it reads `Facts.part_squares`, which costs a pass over the gradients of each part

    def build(self, weights: Sequence[keras.Variable]) -> list[tf.Variable]:
        """Makes the variables, before the graph is traced, and returns a list of them."""
        return []

    def measure(self, facts: Facts) -> None:
        """Reads the `Facts` of an update and assigns variables; traced in the graph."""
        raise NotImplementedError

    def get_state(self):
        return [variable.numpy() for variable in self.variables]

    def set_state(self, state):
        for variable, value in zip(self.variables, state, strict=True):
            variable.assign(value)


class Saving(keras.callbacks.Callback):
    """A callback that says when and where the trainer is to save a run, and which of its states is the best.

    It has the attributes `directory`, `max_to_keep` and `best_update`, the number of updates before the best state, or None.

    Example:
        >>> class Hourly(tfnn.controls.Saving):
        ...     directory, max_to_keep, began = "checkpoints", 3, time.monotonic()
        ...     def due(self, update, epoch_end):
        ...         return epoch_end and time.monotonic() - self.began > 3600
    """

    best_update = None

    def due(self, update: int, epoch_end: bool) -> bool:
        """Whether the run is to be saved after `update` updates; `epoch_end` tells if these end an epoch."""
        raise NotImplementedError

    def updates_until_due(self, update: int) -> int | None:
        """After how many more updates the next save is due, or None if only the end of the epoch counts."""
        return None

    def is_best(self, update: int, logs: Mapping[str, Any]) -> bool:
        """Whether the epoch that ended after `update` updates with `logs` is the best so far. Later calls compare with it."""
        return False
