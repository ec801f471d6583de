"""The callbacks that steer a run or measure in it: what a trainer asks of them, and no class of its users."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfnn.controls.run import current


class Steering(keras.callbacks.Callback):
    """A callback that is heard between updates: under `tfnn.fit` where it asks for it, under `model.fit` before each batch.

    Updates are counted by the optimizer, so that the count goes on over several runs.
    """

    only_under_model_fit = False  # whether its hooks at each batch have work to do under `model.fit` alone

    def updates_until_due(self, update):
        """After how many more updates, once `update` are done, it must be heard again; None where it need not be."""
        return None

    def on_update_begin(self, update):
        """Called before update number `update`: before each that it asked for, and before others, too."""

    def on_train_batch_begin(self, batch, logs=None):
        if current() is None:
            self.on_update_begin(int(tf.convert_to_tensor(self.model.optimizer.iterations)))


class BatchSteering(Steering):
    """A callback that changes the batch size. The one in force at the end of an epoch stands in its logs as `batch_size`.

    Args:
        mode: "accumulate": the trainer builds a graph that sums the gradients of micro-batches of the first size; or
            "rebatch": batches are really larger.
    """

    def __init__(self, mode="accumulate"):
        super().__init__()
        if mode not in ("accumulate", "rebatch"):
            raise ValueError(f"mode={mode!r} must be 'accumulate' or 'rebatch'")
        self.mode = mode

    @property
    def controls(self):
        """Of `tfnn.fit`, or of the `tfnn.data.growable` that `model.fit` runs on."""
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
        """The batch size of update number `update` where it is planned: asked by what is read ahead."""
        return None

    def on_epoch_begin(self, epoch, logs=None):
        if self.growable is not None:
            self.growable.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["batch_size"] = self.controls.batch_size if self.growable is None else self.growable.last_size


class Freezing(keras.callbacks.Callback):
    """A callback that says which layers are trained in which epoch; a trainer asks it before it builds its graph."""

    def freeze_for(self, epoch):
        """Sets the layers' `trainable` flags to those of an epoch."""
        raise NotImplementedError


class Facts(NamedTuple):
    """What is known of an update just before it is made, as tensors."""

    update: Any  # its number, int64: the optimizer's count
    loss: Any  # the mean over the batch
    learning_rate: Any
    examples: Any  # of the batch, float32
    batch_size: Any  # those that it was to have, which the last of an epoch may lack
    weights: Any  # the trainable variables
    gradients: Any  # the means over the batch, in the weights' order; zeros where the loss does not depend on a weight
    micro_batch: Any  # examples of each of the parts whose gradients were summed, but perhaps the last
    parts: Any  # their number, int32
    part_squares: Any  # (weights,): Σ_j |g_j|² over the parts, where a probe wants it


class Probe(Steering):
    """A callback that measures inside the graph, at every `interval`-th update.

    A subclass gives `measure`, which is traced once, and keeps what it finds in variables that it makes in `build`; a
    checkpoint saves them, and an update that is undone leaves them as they were.
    """

    interval = 1
    optional = False  # whether a model that hides its gradients is trained without it, and not refused
    wants_parts = False  # whether it reads `Facts.part_squares`, which costs a pass over the gradients of each part

    def build(self, weights):
        """Makes the variables, before the graph is traced; gives a list of them."""
        return []

    def measure(self, facts):
        """Reads the `Facts` of an update and assigns variables; traced in the graph."""
        raise NotImplementedError

    def get_state(self):
        return [variable.numpy() for variable in self.variables]

    def set_state(self, state):
        for variable, value in zip(self.variables, state, strict=True):
            variable.assign(value)


class Saving(keras.callbacks.Callback):
    """A callback that says when a run is to be saved, where, and which of its states is the best; the trainer saves it.

    It has the attributes `directory`, `max_to_keep` and `best_update`, the number of updates before the best state, or None.
    """

    best_update = None

    def due(self, update, epoch_end):
        """Whether the run is to be saved after `update` updates, the last of an epoch or not."""
        raise NotImplementedError

    def updates_until_due(self, update):
        """After how many more updates the next save is due, or None where only the end of the epoch counts."""
        return None

    def is_best(self, update, logs):
        """Whether an epoch that ended after `update` updates with `logs` is the best so far. Later calls compare with it."""
        return False
