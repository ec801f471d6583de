"""`TensorBoard`: decides what is written when."""

import math
import os
import time
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfnn import controls
from tfnn.callbacks.tensorboard import arguments, configuration, embeddings, pictures
from tfnn.callbacks.tensorboard import hparams as hparams_tab
from tfnn.callbacks.tensorboard.batches import Batches
from tfnn.callbacks.tensorboard.events import Runs
from tfnn.callbacks.tensorboard.updates import Updates
from tfnn.callbacks.tensorboard.watch import Watch, by_layer, squares
from tfnn.checks import integer
from tfnn.controls.nested import updates_of
from tfnn.means import loss_of, means_of

IMAGES = 16  # how many images of a batch are shown


class TensorBoard(controls.Probe):
    """Writes a run for TensorBoard, like `keras.callbacks.TensorBoard`, but with values of updates and steps that count them.

    A step is the optimizer's count of updates, which continues over several `fit` calls and in a resumed run; what a killed
    run wrote beyond its last checkpoint is dropped. Training and validation are the runs `train` and `validation`.
    - Each epoch: all logs as `epoch_*`, including those that later callbacks add; learning rate, batch size of the first
      update, norm of each layer's weights; examples and updates per second, traces; and, of the epoch's first update, the
      norms of gradients and the ratio |Δw|/|w|, which by a rule of thumb should be 1e-3.
    - Each n-th update (`update_freq`): `batch_*` of that update itself, which Keras averages over the epoch so far. These are
      loss, learning rate, gradient norm, and the metrics that are means over examples, from float32 sums over the epoch;
      other metrics are left out. They are measured and kept in the graph, so that updates are not run one by one.
    - Once: the layers of the model, the traced graph of a training step, the configuration as text, `hparams`.
    On 2 cores it costs 5 ms an epoch for a net of 6 weights (`python -m tests.benchmarks board`), however many updates there
    are. Operations `tf.summary` in a model are not recorded, as they would not run on a TPU. Under `model.fit`, and for a
    model with its own training step, gradients and update ratios are left out, and so is what the arguments below limit to
    `tfnn.fit`.

    It is not a subclass of Keras's callback, of which it would inherit only the name, by which tools such as KerasTuner find
    it.

    Args:
        log_dir: the directory of the runs.
        histogram_freq: every how many epochs to write histograms of weights, and of the gradients and steps of the epoch's
            first update; here and below, 0 is never.
        write_graph: whether to write the layers of the model and the training graph (`tfnn.fit` only).
        write_images: whether to write weights also as images when histograms are written.
        write_steps_per_second: whether to write `epoch_steps_per_second`, Keras's name for `updates_per_second`.
        update_freq: "epoch"; or "batch", for the values of each update; or n, for those of each n-th update.
        profile_batch: a batch, or (first, last), counted from 1 in this session, to be profiled; the argument `profile` of
            `tfnn.fit` takes precedence.
        embeddings_freq: every how many epochs to write the tables of `Embedding` layers for the projector.
        embeddings_metadata: the file of the rows' names, relative to `log_dir`; or {layer name: file}.
        image_freq: every how many epochs to show examples of a training batch as the model sees them, after
            `fit(augment=...)` (`tfnn.fit` only).
        confusion_freq: every how many epochs to show the confusion matrix of the validation data, which costs a pass over
            them (`tfnn.fit` only).
        class_names: the names in the confusion matrix; None numbers the classes.
        hparams: {name: number, string or boolean} for the tab HParams, beside the final logs.

    Raises:
        ValueError: for arguments out of range; when the run begins, for a confusion matrix without validation data, and for
            `embeddings_metadata` of layers that do not exist.

    Example:
        >>> board = tfnn.callbacks.TensorBoard("logs/1", update_freq=10, hparams={"learning_rate": 0.1})
        >>> tfnn.fit(model, x, y, epochs=10, validation_split=0.1, callbacks=[board])
    """

    optional = True
    only_under_model_fit = True  # the hooks at each batch have nothing to do under `tfnn.fit`

    def __init__(
        self,
        log_dir: str | os.PathLike = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: int | str | Sequence[int] = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: str | os.PathLike | dict[str, Any] | None = None,
        *,
        image_freq: int = 0,
        confusion_freq: int = 0,
        class_names: Sequence[str] | None = None,
        hparams: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(log_dir, (str, os.PathLike)) or not os.fspath(log_dir):
            raise ValueError(f"log_dir={log_dir!r} must be a path")
        self.log_dir, self.update_freq, self.profile_batch = os.fspath(log_dir), update_freq, profile_batch
        self.every, self.profile_window = arguments.every(update_freq), arguments.window(profile_batch)
        self.histogram_freq = integer("histogram_freq", histogram_freq)
        self.embeddings_freq = integer("embeddings_freq", embeddings_freq)
        self.image_freq = integer("image_freq", image_freq)
        self.confusion_freq = integer("confusion_freq", confusion_freq)
        self.write_graph, self.write_images, self.write_steps_per_second = write_graph, write_images, write_steps_per_second
        self.embeddings_metadata = arguments.files(embeddings_metadata)
        self.class_names = arguments.names(class_names)
        self.hparams = None if hparams is None else hparams_tab.checked(hparams)
        self.watch = self.updates = self.runs = self.shown = None
        self.built = None, None, None  # a model, and the `Watch` and `Updates` in its graph
        self.fitting = False

    # In the graph -----------------------------------------------------------------------------------------------------

    def build(self, weights):
        watch = Watch(keep=bool(self.histogram_freq))
        updates = Updates(self.every, means_of(self.model)) if self.every else None
        self.built = self.model, watch, updates
        return watch.build(weights) + (updates.build() if updates else [])

    def measure(self, facts):
        for part in self.built[1:]:
            if part:
                part.measure(facts, lambda: squares(facts.gradients))

    # Of a session -----------------------------------------------------------------------------------------------------

    @property
    def step(self):
        return updates_of(self.model)

    @property
    def views(self):
        """The `Views` of the run of `tfnn.fit`, or None under `model.fit`."""
        run = controls.current()
        return run and run.views

    def on_train_begin(self, logs=None):
        embeddings.check(self.model, self.embeddings_metadata)
        self.runs = self.pending = self.watched = None
        self.last_logs, self.wrote = {}, 0.0
        self.fitting, self.batches = True, None
        if self.views is None:
            self.batches = Batches(self.model, self.every, self.profile_window, os.path.join(self.log_dir, "train"))
        built_for, *built = self.built
        self.watch, self.updates = built if self.views and built_for is self.model else (None, None)
        if self.confusion_freq and self.views and self.views.predictions is None:
            raise ValueError(f"confusion_freq={self.confusion_freq} needs validation data that can be read again, got none")
        if self.views is None and (self.confusion_freq or self.image_freq):
            warnings.warn("TensorBoard shows no confusion matrix and no batches under model.fit: use tfnn.fit", stacklevel=2)
        if self.views and self.every and self.watch is None:
            warnings.warn("TensorBoard shows no single updates of a model with a training step of its own", stacklevel=2)

    def begin(self, step):
        """Called once the state in a checkpoint is restored."""
        self.runs, self.wants_graph = Runs(self.log_dir, step), self.write_graph
        train = self.runs["train"]
        configuration.write(train, self.model, self.views.settings if self.views else self.params)
        if self.write_graph and type(self.model).__name__ in ("Functional", "Sequential"):
            train.keras_graph(self.model)
        if self.hparams:
            hparams_tab.begin(self.runs["hparams"], self.hparams)
        if self.updates:
            self.updates.begin(step)

    def on_epoch_begin(self, epoch, logs=None):
        step = self.step
        if self.runs is None:
            self.begin(step)
        self.write_pending()
        self.epoch, self.first_step, self.from_step, self.began, self.trained = epoch, step, step, time.perf_counter(), None
        self.watched, self.to_watch = None, self.watch is not None
        if self.updates:
            self.updates.begin_epoch()

    def on_train_end(self, logs=None):
        self.write_pending()
        if self.runs and self.hparams:
            hparams_tab.end(self.runs["hparams"], numbers(self.last_logs), self.step)
        if self.batches:
            self.batches.close()
        if self.runs:
            self.runs.close()
        self.fitting = False

    def get_state(self):
        """Writes everything to disk before a checkpoint is written, as a resumed run begins after it."""
        if self.runs is None:
            return {}
        self.write_pending()
        state = {"first_step": self.first_step, "watched": self.watched}
        if self.updates:
            self.write_updates(self.step)
            state["sums"] = self.updates.sums.numpy()
        self.runs.flush()
        return state

    def set_state(self, state):
        if self.runs is None:  # at the start of a run; in mid-epoch it is called again once the epoch has begun
            return
        self.first_step, self.watched = state["first_step"], state["watched"]
        self.to_watch = self.watch is not None and self.watched is None
        if self.updates:
            self.updates.sums.assign(state["sums"])

    # Of updates -------------------------------------------------------------------------------------------------------

    def updates_until_due(self, update):
        if self.watch is None:
            return None
        if self.watch.running and self.watch.update == update:
            return 1
        return self.updates.until_full(update) if self.updates else None

    def on_update_begin(self, update):
        if self.runs is None or self.views is None:
            return
        if self.wants_graph and update > self.runs.begun:
            self.show_graph()
        if self.watch is None:
            return
        if self.updates and (self.updates.until_full(update) <= self.every or time.perf_counter() > self.wrote + 1):
            self.write_updates(update)
        self.end_watch(update)
        if self.to_watch:
            self.watch.begin(update)
            self.to_watch = False

    def end_watch(self, update):
        if self.watch and self.watch.running and update > self.watch.update:
            self.watched = self.watch.end(histograms=self.due(self.histogram_freq))

    def write_updates(self, step):
        for at, values in self.updates.read(step):
            self.runs["train"].scalars({f"batch_{name}": value for name, value in values.items()}, at)
        self.runs.flush()
        self.wrote = time.perf_counter()

    def on_train_batch_begin(self, batch, logs=None):
        if self.batches and not self.batches.idle:
            self.batches.begin(self.step)

    def on_train_batch_end(self, batch, logs=None):
        if self.batches and (not self.batches.idle or not batch):
            values = self.batches.end(first=not batch)
            if values:
                values |= learning_rates(self.model.optimizer)
                self.runs["train"].scalars({f"batch_{name}": value for name, value in values.items()}, self.step)

    # Of epochs --------------------------------------------------------------------------------------------------------

    def due(self, freq):
        return bool(freq) and self.epoch % freq == 0

    def on_test_begin(self, logs=None):
        if self.fitting:
            self.end_training()

    def on_test_end(self, logs=None):
        if not self.fitting and logs:
            runs = Runs(self.log_dir, self.step)
            runs["validation"].scalars({f"evaluation_{k}_vs_iterations": v for k, v in numbers(logs).items()}, self.step)
            runs.close()

    def end_training(self):
        """Ends the training part of this epoch, before Keras resets its metrics for validation."""
        if self.trained is None:
            loss = loss_of(self.model)
            self.trained = time.perf_counter() - self.began, self.step, float(loss.count) if loss else 0.0

    def on_epoch_end(self, epoch, logs=None):
        self.end_training()
        seconds, step, examples = self.trained
        if self.wants_graph and self.views:
            self.show_graph()
        if self.updates:
            self.write_updates(step)
        self.end_watch(step)
        train, weights = self.runs["train"], self.model.trainable_variables
        names = [self.name_of(weight) for weight in weights]
        values = {f"epoch_{name}": rate for name, rate in learning_rates(self.model.optimizer).items()}
        values |= self.speed(seconds, step, examples) | norms("weight_norm", names, squares_of(weights))
        if self.watched:
            values["batch_size"] = self.watched["examples"]
            values |= norms("gradient_norm", names, self.watched["gradients"])
            values |= ratios(names, self.watched["steps"], self.watched["weights"])
        elif self.batches and self.batches.batch_size:
            values["batch_size"] = self.batches.batch_size
        if self.views:
            values["traces"] = self.views.traces()
        if self.due(self.histogram_freq):
            self.write_histograms(train, step)
        if self.due(self.embeddings_freq):
            embeddings.write(self.model, self.log_dir, self.embeddings_metadata)
        if self.views and self.due(self.image_freq):
            for name, images in pictures.of_inputs(self.views.inputs(), IMAGES).items():
                train.images(f"inputs/{name}" if name else "inputs", images, step)
        if self.views and self.due(self.confusion_freq):
            self.write_confusion(step)
        self.pending, self.watched = (step, logs, values), None

    def name_of(self, weight):
        """The path without the model's name, which Keras counts up: so the same model, built again, has the same tags."""
        return weight.path.removeprefix(f"{self.model.name}/")

    def speed(self, seconds, step, examples):
        """The speed of the updates of this session; `examples` are those of the whole epoch."""
        rate, updates = (step - self.from_step) / seconds, step - self.first_step
        values = {"updates_per_second": rate}
        if examples and updates:
            values["examples_per_second"] = rate * examples / updates
        if self.write_steps_per_second:
            values["epoch_steps_per_second"] = rate
        return values

    def write_pending(self):
        """Writes the last epoch, once all callbacks have added to its logs."""
        if not self.pending:
            return
        (step, logs, values), self.pending = self.pending, None
        logs = self.last_logs = numbers(logs)
        of_validation = {name for name in logs if name.startswith("val_")}
        self.runs["train"].scalars(values | {f"epoch_{k}": v for k, v in logs.items() if k not in of_validation}, step)
        self.runs["validation"].scalars({f"epoch_{k[4:]}": logs[k] for k in logs if k in of_validation}, step)
        self.runs.flush()

    def show_graph(self):
        graph, self.wants_graph = self.views.graph(), False
        if graph is not None and self.shown != (self.log_dir, graph):
            self.runs["train"].graph(graph)
            self.shown = self.log_dir, graph

    def write_histograms(self, train, step):
        for weight in self.model.weights:
            name = self.name_of(weight)
            train.histogram(f"{name}/histogram", keras.ops.convert_to_numpy(weight), step)
            image = pictures.of_weight(keras.ops.convert_to_numpy(weight)) if self.write_images else None
            if image is not None:
                train.images(f"{name}/image", image, step)
        for kind, parts in (self.watched or {}).get("histograms", {}).items():
            for weight, part in zip(self.model.trainable_variables, parts):
                train.histogram(f"{self.name_of(weight)}/{kind}/histogram", part, step)

    def write_confusion(self, step):
        matrix = sum(pictures.counts(labels, outputs) for labels, outputs in self.views.predictions())
        names = self.class_names or [str(index) for index in range(len(matrix))]
        if len(names) != len(matrix):
            raise ValueError(f"class_names has {len(names)} names and the model {len(matrix)} classes")
        self.runs["validation"].images("confusion", pictures.confusion(matrix, names), step)


def numbers(logs):
    """The logs that are numbers, as floats."""
    found = {name: np.asarray(value) for name, value in (logs or {}).items()}
    return {name: float(value) for name, value in found.items() if value.ndim == 0 and value.dtype.kind in "fiub"}


def learning_rates(optimizer):
    """{"learning_rate": the rate of the next update}; a `MultiOptimizer` has several."""
    run, inner = controls.current(), getattr(optimizer, "inner_optimizer", optimizer)
    scale = float(tf.convert_to_tensor(run.learning_rate_scale)) if run else 1.0
    parts = getattr(inner, "optimizers", None)
    named = {f"learning_rate_{part.name}": part for part in parts} if parts else {"learning_rate": inner}
    return {name: float(part.learning_rate) * scale for name, part in named.items()}


squares_of = tf.function(squares, autograph=False)


def norms(tag, names, squares):
    """{tag: the norm over all weights, tag/layer: the norm over a layer's weights}."""
    layers = by_layer(names, squares)
    return {tag: math.sqrt(sum(norm**2 for norm in layers.values()))} | {f"{tag}/{k}": norm for k, norm in layers.items()}


def ratios(names, steps, before):
    """{update_ratio/layer: |Δw|/|w|} of layers whose weights are not all 0."""
    moved, whole = by_layer(names, steps), by_layer(names, before)
    return {f"update_ratio/{layer}": norm / whole[layer] for layer, norm in moved.items() if whole[layer]}
