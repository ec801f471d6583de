"""`tfnn.fit`: the arguments of `model.fit`, run in pieces of one static graph."""

import functools
import random
import time

import keras
import tensorflow as tf

from tfnn import controls
from tfnn.random import permutation
from tfnn.training import inputs
from tfnn.training.augmentation import soft_labels, steps_of
from tfnn.training.graph import TrainingGraph
from tfnn.training.hooks import set_progress_target, wants_batches
from tfnn.training.xla import choose_jit


def fit(
    model,
    x=None,
    y=None,
    batch_size=None,
    epochs=1,
    verbose="auto",
    callbacks=None,
    validation_split=0.0,
    validation_data=None,
    shuffle=True,
    class_weight=None,
    sample_weight=None,
    initial_epoch=0,
    *,
    validation_batch_size=None,
    validation_freq=1,
    augment=None,
    seed=None,
    jit_compile="auto",
):
    """Trains a compiled Keras model as `model.fit` does, in one static graph.

    θ_{t+1} = θ_t − η · (1/b) Σ_{i∈B} ∇L(θ_t, x_i) (lecture, eq. 1), with the model's own optimizer in place of the plain
    step. Shuffling, batching, forward and backward pass, update and metrics run in one `tf.function`, traced once; the
    host calls it in pieces of about half a second, between which callbacks run and signals are handled. Results are
    those of `model.fit` with the same order of examples. The last, smaller batch of an epoch counts as in Keras. Under
    a growing batch, too, they are exact for a loss and `add_loss` terms that are means over examples.

    Args:
        model: a compiled `keras.Model` with Keras's own training step.
        x, y, sample_weight: arrays or tensors with the examples first, or lists or dicts of them. They are copied to
            the device once.
        batch_size, epochs, verbose, callbacks, validation_split, validation_data, shuffle, class_weight,
            initial_epoch, validation_batch_size, validation_freq: as in `model.fit`. A callback with a batch-level hook
            makes every update a piece; `tfnn.callbacks.BatchSizeScheduler` grows the batch.
        augment: a layer or function of x, or a list of them, applied in turn to each training batch in the graph, and
            neither to validation data nor in the saved model. A layer is called with `training=True`; tfnn's geometric
            layers move masks, which are labels or weights (B, H, W) or (B, H, W, C), with their images; labels of one or
            two axes stay as they are, a box (B, 4) too. What has a method `augment_batch(x, y, sample_weight)`, as
            `tfnn.layers.MixUp` and `CutMix` have, gives all three anew. Where labels are mixed, integer labels (validation
            data's too) become one-hot, so loss and metrics must be those of one-hot labels, as
            "categorical_crossentropy"; accuracy in training then counts how often the most probable class is the one with
            the largest share of the label.
        seed: an int in [0, 2³¹) from which, with the epoch, the order of examples follows, and what tfnn's random layers
            draw for each. None takes one from Python's generator, which `keras.utils.set_random_seed` seeds.
        jit_compile: whether XLA compiles the graph; "auto" follows `tfnn.training.xla.choose_jit`.

    Returns:
        The `keras.callbacks.History`, with also `updates` (in all), `batch_sizes` (per epoch), `traces` (of the training
        graph, made by this call: 1, or 0 where that of an earlier call serves again) and `jit_compile` (bool).

    Raises:
        ValueError: for a model that is not compiled, brings its own `train_step`, `test_step` or `compute_metrics`, or has
            several replicas; for inputs other than dense arrays, arrays of different length, and arguments out of range;
            for an `augment` that mixes labels where there are none, or under a loss or metric of integer labels.

    Example:
        >>> model.compile(tfnn.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
        >>> history = tfnn.fit(model, x, y, batch_size=32, epochs=10, validation_split=0.1, seed=1)
    """
    epochs, initial_epoch = integer("epochs", epochs), integer("initial_epoch", initial_epoch)
    batch_size = integer("batch_size", 32 if batch_size is None else batch_size, low=1)
    validation_batch_size = integer("validation_batch_size", validation_batch_size or batch_size, low=1)
    seed = integer("seed", random.randrange(2**31) if seed is None else seed)
    augmentation = steps_of(augment)
    with model.distribute_strategy.scope():
        data = inputs.tensors(x, y, sample_weight)
        validation = None
        if validation_data is not None:
            validation = inputs.tensors(*keras.utils.unpack_x_y_sample_weight(validation_data))
        elif validation_split:
            data, validation = inputs.split_off(data, validation_split)
        if class_weight is not None:
            data = inputs.with_class_weights(data, class_weight)
        data, validation = soft_labels(model, augmentation, data, validation)
        rows = inputs.count(data)
        callbacks = callback_list(callbacks, model, verbose, epochs, steps=-(-rows // batch_size))
        steers = any(isinstance(callback, controls.BatchSteering) for callback in callbacks.callbacks)
        jit_compile, _ = choose_jit(model, jit_compile, augmentation)
        graph = graph_for(model, data, min(batch_size, rows), steers, jit_compile, augmentation)
    run = Run(graph, data, validation, validation_batch_size, callbacks, shuffle, seed)
    traces = graph.traces
    try:
        with controls.use(graph.controls):
            run.epochs(initial_epoch, epochs, validation_freq)
    finally:  # after Ctrl-C too the history tells what was done
        model.history.updates, model.history.batch_sizes = run.updates, run.batch_sizes
        model.history.traces, model.history.jit_compile = graph.traces - traces, jit_compile
    return model.history


def integer(name, value, low=0):
    if isinstance(value, bool) or int(value) != value or not low <= value < 2**31:
        raise ValueError(f"{name}={value!r} must be an integer of at least {low} and below 2**31")
    return int(value)


def callback_list(callbacks, model, verbose, epochs, steps):
    """The callbacks with Keras's History and progress bar; a list that was put together before is taken as it is."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        if not any(isinstance(callback, keras.callbacks.History) for callback in callbacks.callbacks):
            raise ValueError("a CallbackList for tfnn.fit needs a History: make it with add_history=True")
        return callbacks
    return keras.callbacks.CallbackList(
        callbacks, add_history=True, add_progbar=verbose != 0, verbose=verbose, epochs=epochs, steps=steps, model=model
    )


def graph_for(model, data, micro_batch, accumulate, jit_compile, augmentation):
    """The model's graph of an earlier `fit` where it still holds, else a new one."""
    settings = micro_batch, accumulate, jit_compile, augmentation
    settings_and_graph = getattr(model, "_tfnn_graph", None)
    if settings_and_graph and settings_and_graph[0] == settings and settings_and_graph[1].compiled.current:
        return settings_and_graph[1]
    graph = TrainingGraph(model, *settings)
    graph.compiled.build(data)
    if accumulate:
        graph.compiled.check_summable()
    object.__setattr__(model, "_tfnn_graph", (settings, graph))  # past Keras's tracking: no part of the saved model
    return graph


class Run:
    """The host's side of a run: epochs, pieces, hooks."""

    def __init__(self, graph, data, validation, validation_batch_size, callbacks, shuffle, seed):
        self.graph, self.model, self.callbacks = graph, graph.compiled.model, callbacks
        self.data, self.validation, self.validation_batch_size = data, validation, validation_batch_size
        self.rows, self.shuffle, self.seed = inputs.count(data), shuffle, seed
        self.every_update = any(map(wants_batches, callbacks.callbacks))
        self.progress = [c for c in callbacks.callbacks if isinstance(c, keras.callbacks.ProgbarLogger)]
        self.updates, self.batch_sizes = 0, []

    def epochs(self, first, last, validation_freq):
        self.model.stop_training = False
        self.callbacks.on_train_begin()
        first = self.graph.compiled.restored_epoch() or first
        self.graph.controls.begin(self.rows, first, self.seed)
        logs = {}
        for epoch in range(first, last):
            self.callbacks.on_epoch_begin(epoch)
            self.batch_sizes.append(self.graph.controls.batch_size)
            for bar in self.progress:  # now that the callbacks have set the batch size
                set_progress_target(bar, steps=-(-self.rows // self.batch_sizes[-1]))
            logs = self.train(epoch)
            if self.validation is not None and self.graph.compiled.validates(epoch, validation_freq):
                logs |= {f"val_{name}": value for name, value in self.validate().items()}
            self.callbacks.on_epoch_end(epoch, logs)
            if self.model.stop_training:
                break
        if first < last:
            self.model.optimizer.finalize_variable_values(self.model.trainable_weights)
        self.callbacks.on_train_end(logs)

    def train(self, epoch):
        order = tf.constant(permutation(self.rows, self.seed, epoch)) if self.shuffle else tf.range(self.rows)
        row, step, logs = 0, 0, {}
        while row < self.rows and not self.model.stop_training:
            if self.every_update or self.progress:  # else nobody listens, and Keras would still start a thread to tell
                self.callbacks.on_train_batch_begin(step)
            row, updates, logs = self.piece(order, row)
            step += updates
            self.updates += updates
            if self.every_update or self.progress:
                self.callbacks.on_train_batch_end(step - 1, logs)
        return dict(logs)

    def piece(self, order, row):
        parts = self.graph.controls.micro_batches
        limit = self.model.steps_per_execution if self.every_update else max(1, self.graph.pace.steps // parts)
        began = time.perf_counter()
        row, updates, logs = self.train_function(self.data, order, tf.constant(row), tf.constant(limit))
        row, updates = int(row), int(updates)
        self.graph.pace.record(updates * parts, time.perf_counter() - began)
        return row, updates, logs

    @functools.cached_property
    def train_function(self):
        """The trace for this data, looked up once: finding it anew at each call costs as much as 5 small updates."""
        order, scalar = tf.TensorSpec([self.rows], tf.int32), tf.TensorSpec([], tf.int32)
        return self.graph.train.get_concrete_function(self.data, order, scalar, scalar)

    def validate(self):
        self.callbacks.on_test_begin()
        rows, row, step, logs = inputs.count(self.validation), 0, 0, {}
        size = min(self.validation_batch_size, rows)
        while row < rows:
            self.callbacks.on_test_batch_begin(step)
            began, limit = time.perf_counter(), tf.constant(self.graph.test_pace.steps)
            row, logs = self.graph.test(self.validation, size, tf.constant(row), limit)
            row, before = int(row), step
            step = -(-row // size)
            self.graph.test_pace.record(step - before, time.perf_counter() - began)
            self.callbacks.on_test_batch_end(step - 1, logs)
        self.callbacks.on_test_end(logs)
        return logs
