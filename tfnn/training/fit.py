"""`tfnn.fit`: the arguments of `model.fit`, run in pieces of one static graph."""

import os
from collections.abc import Sequence
from typing import Any

import keras

from tfnn.training.prepare import prepared
from tfnn.training.request import Request, checked


def fit(
    model: keras.Model,
    x: Any = None,
    y: Any = None,
    batch_size: int | None = None,
    epochs: int = 1,
    verbose: str | int = "auto",
    callbacks: Sequence[keras.callbacks.Callback] | keras.callbacks.CallbackList | None = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    shuffle: bool = True,
    class_weight: dict[int, float] | str | None = None,
    sample_weight: Any = None,
    initial_epoch: int = 0,
    *,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    validation_batch_size: int | None = None,
    validation_freq: int | Sequence[int] = 1,
    augment: Any = None,
    accumulate: int = 1,
    nonfinite: str = "stop",
    resume: str | os.PathLike | None = None,
    profile: Sequence[int] | None = None,
    seed: int | None = None,
    jit_compile: bool | str = "auto",
    cache: Any = None,
) -> keras.callbacks.History:
    """Trains a compiled Keras model as `model.fit` does, in one static graph.

    θ_{t+1} = θ_t − η · (1/b) Σ_{i∈B} ∇L(θ_t, x_i) (lecture, eq. 1), with the model's own optimizer in place of the plain
    step. Batching, forward and backward pass, update and metrics run in one `tf.function`, traced once; the
    host calls it in pieces of about half a second, between which callbacks run and signals are handled. Results are
    those of `model.fit` with the same order of examples. The last, smaller batch of an epoch counts as in Keras. Under
    a growing batch or `accumulate`, too, they are exact for a loss and `add_loss` terms that are means over examples.

    Args:
        model: a compiled `keras.Model`. A `train_step`, `test_step`, `compute_loss`, `compute_metrics` or `metrics` of its
            own are kept; what sums gradients (`accumulate`) is refused for a training step that nothing can split. A model
            whose class has a `fit` of its own, as KerasHub's tasks have, tells by `preprocess_samples(x, y, sample_weight)`
            what that does to a batch, which is then done to all data; x may then be texts, as a list or array of strings.
        x, y, sample_weight: arrays or tensors with the examples first, or lists or dicts of them, which are copied to the
            device once, but for `tfnn.data.ImageFiles`, which are decoded as the training goes on, to the same weights; or
            in place of x and y a `Part` of a data set, a `tfnn.data.growable` or `tfnn.data.stream`, or a `tf.data.Dataset`,
            a `keras.utils.PyDataset`, a generator, a `torch.utils.data.DataLoader` or a `grain.MapDataset`, `IterDataset` or
            `DataLoader` of batches (x,), (x, y) or (x, y, sample_weight), which are read as the training goes on.
        batch_size, epochs, verbose, callbacks, validation_split, validation_data, shuffle, class_weight,
            initial_epoch, steps_per_epoch, validation_steps, validation_batch_size, validation_freq: as in `model.fit`. A
            callback with a batch-level hook makes every update a piece; `tfnn.callbacks.BatchSizeScheduler` grows the
            batch. A step is an update, of `accumulate` batches. The batches of a PyDataset are shuffled, too. `class_weight`
            may also be "balanced": the weights that `tfnn.data.balanced_class_weight` gives for the labels of arrays.
        augment: a layer or function of x, or a list of them, applied in turn to each training batch in the graph, and
            neither to validation data nor in the saved model. A layer is called with `training=True`; tfnn's geometric
            layers move masks, which are labels or weights (B, H, W) or (B, H, W, C), with their images; labels of one or
            two axes stay as they are, a box (B, 4) too. What has a method `augment_batch(x, y, sample_weight)`, as
            `tfnn.layers.MixUp` and `CutMix` have, gives all three anew. Where labels are mixed, integer labels (validation
            data's too) become one-hot, so loss and metrics must be those of one-hot labels, as
            "categorical_crossentropy"; accuracy in training then counts how often the most probable class is the one with
            the largest share of the label.
        accumulate: how many batches of `batch_size` one update sums: b = accumulate · batch_size examples, with the memory
            of `batch_size`.
        nonfinite: what a loss, or a weight after an update, that is not finite does. "stop" puts the model back as it was
            before that update and raises; "skip" leaves the update out, with all that its forward pass changed, and goes
            on; "ignore", which the callback `TerminateOnNaN` implies, does nothing. An overflow of the scaled loss under
            "mixed_float16" is none.
        resume: a directory of checkpoints, as `tfnn.callbacks.Checkpoint` writes them: the run goes on from the newest that
            is whole, in the middle of an epoch, too, to the bits of a run that was never interrupted; None, or a directory
            without any, begins anew. All other arguments must be those of the interrupted run; `epochs` may be more.
            Numbers that are kept in variables, as a learning rate, come from the checkpoint. What is read as a stream is
            read again up to there, so it must give the same batches: `tf.data` with seeds, a PyDataset that is a function
            of the index, a generator made anew. Grain goes on from the state of its iterator, without reading anything again.
        profile: (start, stop): the updates that TensorFlow's profiler watches; the directory is that of a callback
            `TensorBoard`, or "logs"; None profiles what such a callback of tfnn says.
        seed: an int in [0, 2³¹) from which, with the epoch, the order of examples follows, and what tfnn's random layers
            draw for each. None takes that of the checkpoint, or one from Python's generator, which
            `keras.utils.set_random_seed` seeds.
        jit_compile: whether XLA compiles the graph, which takes seconds and then gains a part of each update. "auto" compiles
            where enough updates are sure to come in this run, with those of earlier fits of the model; the rule stands in
            `tfnn.training.graph.xla`, and the first line says what it chose and why. Several processes that train the same
            model share what was compiled where TF_XLA_FLAGS=--tf_xla_persistent_cache_directory=DIR is set before the import.
        cache: what computes the frozen layers below the head once, a `tfnn.transfer.FeatureCache`; None computes them at each
            update.

    Returns:
        The `keras.callbacks.History`, with also `updates` (in all), `skipped` (updates left out), `batch_sizes` (examples
        of an update, per epoch; None for batches of unknown size), `traces` (of the training graph, made by this call: 1,
        one more for each epoch in whose beginning a callback froze or unfroze layers, 0 where that of an earlier call serves
        again), `jit_compile` (whether XLA compiled it) and `jit_compile_reason`.

    Raises:
        ValueError: for a model that is not compiled, makes its own training function, or has several replicas; for arrays of
            different length, labels that are no class of the model, a source without batches or without end, and
            arguments out of range; for an `augment` that mixes labels where there are none, or under a loss or metric of
            integer labels; for a batch that is to be really larger (mode="rebatch") than the memory holds; for a
            checkpoint of another model, optimizer, data set or setting, with what differs.
        OSError: for a checkpoint that cannot be written; the last good one is still there.
        NonFiniteError: under nonfinite="stop", with the epoch, the update, the examples and the variable where it began.

    Example:
        >>> model.compile(tfnn.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
        >>> history = tfnn.fit(model, x, y, batch_size=32, epochs=10, validation_split=0.1, seed=1)
    """
    run = prepared(checked(Request(**locals())))
    del x, y, sample_weight, validation_data  # the run holds what it reads, which may be a copy
    with model.distribute_strategy.scope():
        return run.train()
