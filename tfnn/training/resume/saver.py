"""A run that is written down, so that it can be killed at any moment and goes on to the same bits."""

import dataclasses
import pathlib
from typing import NamedTuple

import keras
import numpy as np

from tfnn.training.resume import checkpoint, state
from tfnn.training.resume.fingerprint import differences, digest

NEVER = 2**31  # updates


@dataclasses.dataclass
class Progress:
    """How far a run is."""

    epoch: int = 0
    step: int = 0  # updates of this epoch
    updates: int = 0
    skipped: int = 0  # updates that were left out
    batch_sizes: list = dataclasses.field(default_factory=list)  # examples of an update, for each epoch that began
    logs: dict = dataclasses.field(default_factory=dict)  # of the last piece

    def numbers(self):
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "logs"}


class Saved(NamedTuple):
    """A checkpoint that a run goes on from."""

    path: pathlib.Path
    arrays: dict
    meta: dict

    @property
    def trainer(self):
        return self.meta["trainer"]


class Saver:
    """Writes the checkpoints that the `tfnn.controls.Saving` callbacks of a run ask for, and restores one.

    Args:
        progress: the `Progress` of the run.
        graph: the `TrainingGraph` of its first phase.
        callbacks: of the run, a `keras.callbacks.CallbackList`.
        targets: the callbacks that say when to save, and where.
        settings: what must be the same for the run to go on, by name, as JSON holds it.
        work: by which it was decided what XLA compiles; a run that goes on decides by it, too, whatever is left to do.
        resumed: the `Saved` that the run goes on from, or None.

    Raises:
        ValueError: for a directory that holds another run's checkpoints, or other things.
    """

    def __init__(self, progress, graph, callbacks, *, targets, settings, work, resumed):
        self.progress, self.graphs, self.callbacks = progress, [graph], callbacks.callbacks
        self.model, self.controls = graph.compiled.model, graph.controls
        self.targets, self.resumed = targets, resumed
        self.fixed = {"settings": settings, "plan": list(work)}
        for target in targets:
            held = checkpoint.names(target.directory)
            if held and not (resumed and resumed.path.parent.resolve() == pathlib.Path(target.directory).resolve()):
                raise ValueError(
                    f"{target.directory} holds checkpoints of a run, up to {held[-1]}: go on from them with"
                    f" resume={str(target.directory)!r}, or give another directory"
                )
            checkpoint.make(target.directory)

    def enter(self, graph):
        """Takes note of the graph of a further phase."""
        self.graphs.append(graph)

    def variables(self):
        """{name: variable} of all that the updates of the run read and change, wherever it is kept."""
        hidden = {id(variable.handle): variable for graph in self.graphs for variable in graph.hidden()}
        return self.graphs[-1].state() | {f"hidden/{index}": variable for index, variable in enumerate(hidden.values())}

    def updates_until_due(self):
        """After how many updates the next checkpoint is due; a large number where none is."""
        return min([target.updates_until_due(self.progress.updates) or NEVER for target in self.targets], default=NEVER)

    def save(self, source, epoch_end=False, leaving=False):
        """Writes what is due after an update, after an epoch, or before the process is left; `source` is what is read."""
        update = self.progress.updates
        for target in self.targets:
            best = epoch_end and target.is_best(update, self.progress.logs)
            if best or leaving or target.due(update, epoch_end):
                arrays, meta = self.captured(source, epoch_end)
                path = checkpoint.write(target.directory, checkpoint.name_of(update), arrays, meta)
                kept = [] if target.best_update is None else [checkpoint.name_of(target.best_update)]
                checkpoint.prune(path, target.max_to_keep, kept)

    def captured(self, source, epoch_end):
        arrays, meta = state.capture(self.model, self.callbacks, self.variables)
        numbers = self.progress.numbers()
        if epoch_end:
            numbers |= {"epoch": self.progress.epoch + 1, "step": 0}
        meta["trainer"] = {
            **numbers,
            "mid_epoch": not epoch_end,
            "logs": keras.tree.map_structure(lambda told: np.asarray(told).tolist(), dict(self.progress.logs)),
            "place": source.state(),
            "controls": self.controls.state(),
            **self.fixed,
        }
        return arrays, meta

    def restore(self):
        """Sets the run to what the checkpoint holds, after the callbacks' hooks, in which they reset themselves.

        In the middle of an epoch twice: before the epoch and after `on_epoch_begin`. The arrays, as large as all variables,
        are let go with the last time.
        """
        trainer, progress = self.resumed.trainer, self.progress
        state.restore(self.model, self.callbacks, self.resumed.arrays, self.resumed.meta, self.variables)
        for name in progress.numbers():
            setattr(progress, name, trainer[name])
        progress.batch_sizes = list(progress.batch_sizes)  # the checkpoint's own stays as it was read
        progress.logs = trainer["logs"]
        self.controls.set_state(trainer["controls"])

    def restore_place(self, source, steps):
        """Has the source go to its place, once: a second iterator over a shuffled `tf.data.Dataset` has another order.

        `steps` are the updates of an epoch, or None for a pass over the source.
        """
        if self.resumed.trainer["mid_epoch"] or steps:
            source.restore(self.resumed.trainer["place"])
        else:
            source.go_on_after(self.resumed.trainer["place"])

    def let_go(self):
        self.resumed.arrays.clear()


def found(directory):
    """The `Saved` of the newest intact checkpoint, or None where there is none.

    Raises:
        ValueError: where all are damaged: to begin anew in silence would throw away what can perhaps be saved.
    """
    newest = directory and checkpoint.newest(directory)
    if directory and not newest and (held := checkpoint.names(directory)):
        raise ValueError(f"cannot resume from {directory}: all its {len(held)} checkpoints are damaged, up to {held[-1]}")
    return Saved(*newest) if newest else None


def check_same(resumed, model, settings, epochs, freezing=False):
    """Refuses to go on with another model, optimizer, data set or setting, or to fewer epochs than were done.

    `freezing` tells that a callback says which layers are frozen, so that they may be others than in the epoch before.
    """
    differ = differences(resumed.meta, model, freezing)
    for name, value in settings.items():
        other = resumed.trainer["settings"].get(name)
        if value != other:
            differ.append("the data differ" if name == "data" else f"{name} is {value}, the checkpoint's {other}")
    if differ:
        raise ValueError(f"cannot resume from {resumed.path}: {'; '.join(differ)}")
    done = resumed.trainer["epoch"]
    if done > epochs:
        raise ValueError(f"cannot resume from {resumed.path}: {done} epochs are done, and epochs={epochs} asks for fewer")


def settings_of(request, source, rebatches):
    """What the order of examples, and with it every bit, depends on; the data by a digest, which takes a while."""
    return {
        "seed": request.seed,
        "batch_size": source.micro_batch,
        "accumulate": request.accumulate,
        "rebatch": rebatches,
        "steps_per_epoch": request.steps_per_epoch,
        "shuffle": bool(request.shuffle),
        "data": digest(source.data) if hasattr(source, "data") else source.name,
    }
