"""`tfnn.fit`: the arguments of `model.fit`, run in pieces of one static graph."""

import functools
import random

import keras

from tfnn import controls
from tfnn.callbacks import Checkpoint
from tfnn.data.dataset import Part
from tfnn.data.growable import Growable
from tfnn.data.stream import ImageStream
from tfnn.training.array_graph import ArrayGraph
from tfnn.training.arrays import Arrays
from tfnn.training.augmentation import soften_labels, steps_of
from tfnn.training.compiled import Compiled
from tfnn.training.evaluate import evaluation_for, run_evaluation
from tfnn.training.file_stream import FileStream
from tfnn.training.inputs import integer
from tfnn.training.introduction import form_of, introduction, reason_for_new_trace
from tfnn.training.memory import Memory
from tfnn.training.plan import Plan, planned, remember
from tfnn.training.profile import Profile
from tfnn.training.run import Phase, Run
from tfnn.training.saving import Saver, Terminated, check_same, found, heeding_sigterm, settings_of
from tfnn.training.sources import check_alone, source_of, split
from tfnn.training.state import restore_weights
from tfnn.training.stream_graph import StreamGraph
from tfnn.training.views import views_of
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
    steps_per_epoch=None,
    validation_steps=None,
    validation_batch_size=None,
    validation_freq=1,
    augment=None,
    accumulate=1,
    nonfinite="stop",
    resume=None,
    profile=None,
    seed=None,
    jit_compile="auto",
    cache=None,
):
    """Trains a compiled Keras model as `model.fit` does, in one static graph.

    θ_{t+1} = θ_t − η · (1/b) Σ_{i∈B} ∇L(θ_t, x_i) (lecture, eq. 1), with the model's own optimizer in place of the plain
    step. Shuffling, batching, forward and backward pass, update and metrics run in one `tf.function`, traced once; the
    host calls it in pieces of about half a second, between which callbacks run and signals are handled. Results are
    those of `model.fit` with the same order of examples. The last, smaller batch of an epoch counts as in Keras. Under
    a growing batch or `accumulate`, too, they are exact for a loss and `add_loss` terms that are means over examples.

    Args:
        model: a compiled `keras.Model`. A `train_step`, `test_step`, `compute_loss`, `compute_metrics` or `metrics` of its
            own are kept; what sums gradients (`accumulate`) is refused for a training step that nothing can split.
        x, y, sample_weight: arrays or tensors with the examples first, or lists or dicts of them, which are copied to the
            device once, but for `tfnn.data.ImageFiles`, which are decoded as the training goes on, to the same weights; or
            in place of x and y a `Part` of a data set, a `tfnn.data.growable` or `tfnn.data.stream`, or a `tf.data.Dataset`,
            a `keras.utils.PyDataset` or a generator of batches (x,), (x, y) or (x, y, sample_weight), which are read as the
            training goes on.
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
            of the index, a generator made anew.
        profile: (start, stop): the updates that TensorFlow's profiler watches; the directory is that of a callback
            `TensorBoard`, or "logs"; None profiles what such a callback of tfnn says.
        seed: an int in [0, 2³¹) from which, with the epoch, the order of examples follows, and what tfnn's random layers
            draw for each. None takes that of the checkpoint, or one from Python's generator, which
            `keras.utils.set_random_seed` seeds.
        jit_compile: whether XLA compiles the graph, which takes seconds and then gains a part of each update. "auto" compiles
            where enough updates are sure to come in this run, with those of earlier fits of the model; the rule stands in
            `tfnn.training.xla`, and the first line says what it chose and why. Several processes that train the same model
            share what was compiled where TF_XLA_FLAGS=--tf_xla_persistent_cache_directory=DIR is set before the import.
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
    epochs, initial_epoch = integer("epochs", epochs), integer("initial_epoch", initial_epoch)
    accumulate = integer("accumulate", accumulate, low=1)
    check_positive(
        steps_per_epoch=steps_per_epoch, validation_steps=validation_steps, validation_batch_size=validation_batch_size
    )
    if not isinstance(validation_freq, (list, tuple, set)):
        check_positive(validation_freq=validation_freq)
    if nonfinite not in ("stop", "skip", "ignore"):
        raise ValueError(f"nonfinite={nonfinite!r} must be 'stop', 'skip' or 'ignore'")
    if not (class_weight is None or isinstance(class_weight, dict) or class_weight == "balanced"):
        raise ValueError(
            f"class_weight={class_weight!r} must be 'balanced' or a dict of classes and weights: {{0: 1.0, 1: 2.5}}"
        )
    if cache is not None and not hasattr(cache, "features"):
        raise ValueError(f"cache={cache!r} must be a tfnn.transfer.FeatureCache, such as FeatureCache('features'), or None")
    if isinstance(x, (Growable, ImageStream)):
        check_alone(x, y=y, sample_weight=sample_weight, batch_size=batch_size)
        (x, y, sample_weight), batch_size, shuffle, own_seed = x.arguments()
        seed = own_seed if seed is None else seed
    resumed = found(resume)
    if seed is None:
        seed = resumed[2]["trainer"]["settings"]["seed"] if resumed else random.randrange(2**31)
    seed, augmentation = integer("seed", seed), steps_of(augment)
    with model.distribute_strategy.scope():
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = split(x, y, sample_weight, validation_split)
        read = functools.partial(source_of, model=model)
        ordered = dict(class_weight=class_weight, shuffle=shuffle, seed=seed)
        source, validation = read(x, y, sample_weight, batch_size=batch_size, steps=steps_per_epoch, **ordered), None
        if validation_data is not None:
            held, size = unpacked(validation_data), validation_batch_size or batch_size
            validation = read(*held, batch_size=size, steps=validation_steps)
        soften_labels(model, augmentation, source, validation)

        updates = steps_per_epoch or (source.length and -(-source.length // accumulate))
        callbacks = callback_list(callbacks, model, verbose, epochs, updates)
        trained = steps_per_epoch and steps_per_epoch * accumulate
        reading = source, validation, initial_epoch, epochs, trained, validation_steps, validation_freq
        recorded = resumed and resumed[2]["trainer"].get("plan")  # absent in older checkpoints
        plan = Plan(*recorded) if recorded else planned(model, callbacks.callbacks, *reading)
        has = lambda kind: any(isinstance(callback, kind) for callback in callbacks.callbacks)
        nonfinite = "ignore" if has(keras.callbacks.TerminateOnNaN) else nonfinite
        growth, probes = mode_of(callbacks.callbacks), of_kind(controls.Probe, callbacks.callbacks)
        probes = tuple(probe for probe in probes if not (probe.optional and Compiled(model).own_step))
        for callback in of_kind(controls.Freezing, callbacks.callbacks):
            callback.freeze_for(resumed[2]["trainer"]["epoch"] if resumed else initial_epoch)
        if resumed and cache and not Compiled(model).own_step:  # features are those of the weights that the run goes on with
            Compiled(model).build(source.spec)
            settings = settings_of(source, accumulate, growth == "rebatch", steps_per_epoch, shuffle, seed)
            check_same(resumed, model, settings, epochs, freezing=has(controls.Freezing))
            restore_weights(model, resumed[1])
        how = dict(accumulate=accumulate, growth=growth, guard=nonfinite != "ignore", probes=probes)

        def phase(run_controls=None):
            """What is trained, and on what, as long as no layer is frozen or unfrozen."""
            features, words = cache.features(model, source, validation, augmentation, seed) if cache else (None, None)
            head, data, held_out = features or (None, source, validation)
            steps = () if features else augmentation
            jit, validation_jit, why = choose_jit(model, jit_compile, plan, steps, data, head)
            graph, new_trace = graph_for(model, source, data, jit, steps, head, run_controls, **how)
            graph.controls.check_memory = Memory(graph, data.spec).check if graph.rebatch else lambda size: None
            validate = None
            if validation is not None:
                evaluation = evaluation_for(model, validation.spec, validation_jit, head)
                validate = lambda heed: run_evaluation(evaluation, held_out, callbacks, validation_steps, heed)
            path = resumed and not run_controls and resumed[0]
            line = introduction(graph, data.micro_batch, accumulate, why, new_trace, path, words)
            return Phase(graph, data, validate, line, why)

        first = phase()
        graph = first.graph
        for part in source, validation:
            if isinstance(part, (Arrays, FileStream)):
                graph.compiled.check_labels(part.data[1])
        profile = Profile(profile, callbacks.callbacks)
        run = Run(first, phase, callbacks, steps_per_epoch, nonfinite, profile)
        saves = has(Checkpoint)
        settings = settings_of(source, accumulate, graph.rebatch, steps_per_epoch, shuffle, seed) if saves or resumed else {}
        if resumed:
            graph.build_own_step(source.batch_spec)
            check_same(resumed, model, settings, epochs, freezing=has(controls.Freezing))
        told = dict(accumulate=accumulate, epochs=epochs, steps_per_epoch=steps_per_epoch, shuffle=bool(shuffle), seed=seed)
        told |= dict(batch_size=source.micro_batch, examples=getattr(source, "rows", None), nonfinite=nonfinite)
        graph.controls.views = views_of(run, source, augmentation, validation, validation_steps, told)
        run.saver = Saver(run, augmentation, settings, resumed, plan)
        if verbose:
            run.tell = functools.partial(print, flush=True)
            run.tell(first.line)
        try:
            with heeding_sigterm(saves) as run.heed, controls.use(graph.controls):
                try:
                    run.epochs(initial_epoch, epochs, seed, accumulate, validation_freq)
                except Terminated:
                    run.saver.save(leaving=True)
        finally:  # after Ctrl-C too the history tells what was done
            source.close()
            profile.close()
            graph.controls.views = run.saver = None  # circles, which would keep the data until Python looks for them
            history = model.history
            history.updates, history.skipped, history.batch_sizes = run.updates, run.skipped, run.batch_sizes
            history.traces, history.jit_compile, history.jit_compile_reason = run.traces, run.graph.jit.on, run.why
            before = resumed[2]["trainer"] if resumed else {"updates": 0, "batch_sizes": ()}  # by another call, for its model
            validated = run.validations * (validation_steps or validation.length or 0) if validation is not None else 0
            updates, epochs = run.updates - before["updates"], len(run.batch_sizes) - len(before["batch_sizes"])
            remember(model, source, Plan(max(0, updates) * accumulate, validated, max(0, epochs)))
    return model.history


def unpacked(validation_data):
    """(x, y, sample_weight)."""
    if isinstance(validation_data, Part):
        return *validation_data.labelled(), None
    return keras.utils.unpack_x_y_sample_weight(validation_data)


def check_positive(**numbers):
    for name, number in numbers.items():
        if number is not None:
            integer(name, number, low=1)


def callback_list(callbacks, model, verbose, epochs, steps):
    """The callbacks with Keras's History and progress bar; a list that was put together before is taken as it is."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        if not any(isinstance(callback, keras.callbacks.History) for callback in callbacks.callbacks):
            raise ValueError("a CallbackList for tfnn.fit needs a History: make it with add_history=True")
        return callbacks
    return keras.callbacks.CallbackList(
        callbacks, add_history=True, add_progbar=verbose != 0, verbose=verbose, epochs=epochs, steps=steps, model=model
    )


def of_kind(kind, callbacks):
    return tuple(callback for callback in callbacks if isinstance(callback, kind))


def mode_of(callbacks):
    """How the batch is to grow: "accumulate", "rebatch", or None."""
    modes = {callback.mode for callback in of_kind(controls.BatchSteering, callbacks)}
    if len(modes) > 1:
        raise ValueError("callbacks grow the batch with mode='accumulate' and with mode='rebatch': choose one")
    return modes.pop() if modes else None


def graph_for(model, source, data, jit, steps, head, run_controls, *, accumulate, growth, guard, probes):
    """(The model's graph of an earlier `fit` where it still holds, else a new one; why one of an earlier fit does not).

    `source` is what the model reads, `data` what its `head` does.
    """
    compiled = Compiled(model)
    compiled.check_accumulates(accumulate)
    if growth == "rebatch" and accumulate > 1:
        raise ValueError(f"accumulate={accumulate} must be 1 where the batch grows with mode='rebatch'")
    if compiled.own_step and probes:
        raise ValueError(f"{type(probes[0]).__name__} measures gradients, which a model with its own {compiled.own_step} hides")
    rebatch = growth == "rebatch" or (growth == "accumulate" and compiled.own_step is not None)  # which nothing can split
    sums = accumulate > 1 or (growth == "accumulate" and not rebatch)
    if (sums or rebatch) and not isinstance(data, Arrays):
        data.measure()
    kind = ArrayGraph if isinstance(data, Arrays) else StreamGraph
    settings = kind, data.micro_batch or 1, sums, rebatch, jit, steps, guard, probes, head
    held, form = getattr(model, "_tfnn_graph", None), form_of(data, static=jit.on)
    new_trace = reason_for_new_trace(held, settings, form)
    if held and held[0] == settings and held[1].compiled.current and held[1].heard and run_controls in (None, held[1].controls):
        graph = held[1]
    else:
        graph = kind(model, *settings[1:], run_controls)
        graph.build(source.spec)
        object.__setattr__(model, "_tfnn_graph", (settings, graph))  # past Keras's tracking: no part of the saved model
    graph.forms += [form] if form not in graph.forms else []
    return graph, new_trace
