"""From a request to a run that is ready to train."""

import dataclasses
from typing import Any, NamedTuple

import keras

from tfnn import controls
from tfnn.data.dataset import Part
from tfnn.training.graph.augmentation import soften_labels
from tfnn.training.graph.compiled import Compiled
from tfnn.training.loop.callbacks import of_kind, of_training
from tfnn.training.loop.phases import Phases
from tfnn.training.loop.profile import Profile
from tfnn.training.loop.run import Run
from tfnn.training.loop.work import Work, planned
from tfnn.training.resume.saver import Progress, Saver, check_same, settings_of
from tfnn.training.resume.state import restore_weights
from tfnn.training.source.arrays import Arrays
from tfnn.training.source.choice import source_of, split
from tfnn.training.source.file_stream import FileStream
from tfnn.training.source.preprocessing import PreprocessedRows


class Data(NamedTuple):
    """What a model reads in a run, each a `tfnn.training.source.Source`."""

    source: Any
    validation: Any  # or None


def prepared(request):
    """The `Run` of a checked request. Nothing is trained yet; what can be refused before is refused here."""
    with request.model.distribute_strategy.scope():
        data = read(request)
        request = dataclasses.replace(request, x=None, y=None, sample_weight=None, validation_data=None)  # lets them go
        callbacks = callbacks_of(request, data.source)
        if of_kind(keras.callbacks.TerminateOnNaN, callbacks):
            request = dataclasses.replace(request, nonfinite="ignore")
        return assembled(request, data, callbacks)


def assembled(request, data, callbacks):
    resumed, freezing = request.resumed, of_kind(controls.Freezing, callbacks)
    recorded = resumed and resumed.trainer.get("plan")  # absent in older checkpoints
    work = Work(*recorded) if recorded else work_of(request, data, callbacks)
    phases, targets = Phases(request, data, callbacks, work), of_kind(controls.Saving, callbacks)
    for callback in freezing:
        callback.freeze_for(resumed.trainer["epoch"] if resumed else request.initial_epoch)
    if phases.accumulates or phases.rebatches:
        data.source.measure()  # before the settings, which tell the batch size
    settings = settings_of(request, data.source, phases.rebatches) if targets or resumed else {}
    same = lambda: check_same(resumed, request.model, settings, request.epochs, freezing=bool(freezing))
    if resumed and request.cache and not Compiled(request.model).own_step:
        Compiled(request.model).build(data.source.spec)
        same()
        restore_weights(request.model, resumed.arrays)  # features are those of the weights that the run goes on with
    phase = phases.make()
    check_labels(phase.graph.compiled, data)
    if targets or resumed:
        clock = phase.graph.controls  # a schedule in epochs asks it, as it is traced, how long they are
        clock.begin_clock(phase.source.examples(request.steps_per_epoch, clock), request.initial_epoch)
        phase.graph.trace_step(phase.source.batch_spec)
        phase.graph.check_resumable()
    if resumed:
        same()
    progress, profile = Progress(), Profile(request.profile, callbacks.callbacks)
    saver = Saver(progress, phase.graph, callbacks, targets=targets, settings=settings, work=work, resumed=resumed)
    return Run(request, data, phases, phase, callbacks=callbacks, progress=progress, saver=saver, profile=profile)


def read(request):
    """The `Data` of a request."""
    arrays, held_out = (request.x, request.y, request.sample_weight), request.validation_data
    if request.validation_split and held_out is None:
        arrays, held_out = split(*arrays, request.validation_split, request.model)
    how = dict(class_weight=request.class_weight, shuffle=request.shuffle, seed=request.seed, model=request.model)
    source = source_of(*arrays, batch_size=request.batch_size, steps=request.steps_per_epoch, **how)
    validation = None
    if held_out is not None:
        size = request.validation_batch_size or request.batch_size
        unpacked = keras.utils.unpack_x_y_sample_weight
        arrays = (*held_out.labelled(), None) if isinstance(held_out, Part) else unpacked(held_out)
        how = dict(model=request.model, methods=["fit", "evaluate"])
        validation = source_of(*arrays, batch_size=size, steps=request.validation_steps, **how)
    soften_labels(request.model, request.augmentation, source, validation)
    return Data(source, validation)


def callbacks_of(request, source):
    updates = request.steps_per_epoch or (source.length and -(-source.length // request.accumulate))
    return of_training(request.callbacks, request.model, request.verbose, request.epochs, updates)


def work_of(request, data, callbacks):
    epochs = range(request.initial_epoch, max(request.initial_epoch, request.epochs))
    batches = request.steps_per_epoch and request.steps_per_epoch * request.accumulate
    frequencies = request.validation_steps, request.validation_freq
    return planned(request.model, callbacks.callbacks, data, epochs, batches, *frequencies)


def check_labels(compiled, data):
    for part in data:
        if isinstance(part, (Arrays, FileStream)) and not isinstance(part, PreprocessedRows):
            compiled.check_labels(part.data[1])
