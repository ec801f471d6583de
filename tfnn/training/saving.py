"""A run that is written down, so that it can be killed at any moment and goes on to the same bits."""

import contextlib
import pathlib
import signal
import sys
import threading

import numpy as np

from tfnn.callbacks import Checkpoint
from tfnn.training import checkpoint, state
from tfnn.training.fingerprint import differences, digest
from tfnn.training.streams import kind_of

NUMBERS = "epoch", "step", "updates", "skipped", "batch_sizes"  # of a `Run`


class Saver:
    """Writes the checkpoints that the `tfnn.callbacks.Checkpoint` of a run ask for.

    Args:
        run: the `Run`.
        augmentation: the layers of `fit(augment=...)`, whose state is no part of the model.
        settings: what must be the same for the run to go on, by name, as JSON holds it.
        resumed: (path, arrays, meta) of the checkpoint that the run goes on from, or None.
        plan: by which it was decided what XLA compiles; a run that goes on decides by it, too, whatever is left to do.

    Raises:
        ValueError: for a directory that holds another run's checkpoints, or other things.
    """

    def __init__(self, run, augmentation, settings, resumed, plan):
        self.run, self.augmentation, self.settings, self.resumed, self.plan = run, augmentation, settings, resumed, plan
        self.targets = [callback for callback in run.callbacks.callbacks if isinstance(callback, Checkpoint)]
        for target in self.targets:
            held = checkpoint.names(target.directory)
            if held and not (resumed and resumed[0].parent.resolve() == pathlib.Path(target.directory).resolve()):
                raise ValueError(
                    f"{target.directory} holds checkpoints of a run, up to {held[-1]}: go on from them with"
                    f" resume={str(target.directory)!r}, or give another directory"
                )
            checkpoint.make(target.directory)

    def updates_until_due(self):
        """After how many updates the next checkpoint is due; a large number where none is."""
        return min([target.updates_until_due(self.run.updates) or 2**31 for target in self.targets], default=2**31)

    def save(self, epoch_end=False, leaving=False):
        """Writes what is due after an update, after an epoch, or before the process is left."""
        update = self.run.updates
        for target in self.targets:
            best = epoch_end and target.is_best(update, self.run.logs)
            if best or leaving or target.due(update, epoch_end):
                arrays, meta = self.captured(epoch_end)
                path = checkpoint.write(target.directory, checkpoint.name_of(update), arrays, meta)
                kept = [] if target.best_update is None else [checkpoint.name_of(target.best_update)]
                checkpoint.prune(path, target.max_to_keep, kept)

    def captured(self, epoch_end):
        run = self.run
        arrays, meta = state.capture(run.model, run.callbacks.callbacks, self.augmentation)
        numbers = {name: getattr(run, name) for name in NUMBERS}
        if epoch_end:
            numbers |= {"epoch": run.epoch + 1, "step": 0}
        meta["trainer"] = {
            **numbers,
            "mid_epoch": not epoch_end,
            "logs": {name: np.asarray(value).tolist() for name, value in run.logs.items()},
            "place": run.source.place(),
            "controls": run.controls.state(),
            "settings": self.settings,
            "plan": list(self.plan),
        }
        return arrays, meta

    def restore(self, again=False):
        """Sets the run to what the checkpoint holds, after the callbacks' hooks, in which they reset themselves.

        The source goes to its place once: a second iterator over a shuffled `tf.data.Dataset` would have another order.
        """
        _, arrays, meta = self.resumed
        run, trainer = self.run, meta["trainer"]
        state.restore(run.model, run.callbacks.callbacks, arrays, meta, self.augmentation)
        for name in NUMBERS:
            setattr(run, name, trainer[name])
        run.logs = trainer["logs"]
        run.controls.set_state(trainer["controls"])
        if not again and (trainer["mid_epoch"] or run.steps):
            run.source.seek(**trainer["place"])
        if again or not run.step:  # that was the last time: what is as large as all variables need not be held to the end
            arrays.clear()


def found(directory):
    """(path, arrays, meta) of the newest intact checkpoint, or None where there is none.

    Raises:
        ValueError: where all are damaged: to begin anew in silence would throw away what can perhaps be saved.
    """
    newest = directory and checkpoint.newest(directory)
    if directory and not newest and (held := checkpoint.names(directory)):
        raise ValueError(f"cannot resume from {directory}: all its {len(held)} checkpoints are damaged, up to {held[-1]}")
    return newest


def check_same(resumed, model, settings, epochs, freezing=False):
    """Refuses to go on with another model, optimizer, data set or setting, or to fewer epochs than were done.

    `freezing` tells that a callback says which layers are frozen, so that they may be others than in the epoch before.
    """
    path, _, meta = resumed
    trainer = meta["trainer"]
    differ = differences(meta, model, freezing)
    for name, value in settings.items():
        other = trainer["settings"].get(name)
        if value != other:
            what = "the data differ" if name == "data" else f"{name} is {value}, the checkpoint's {other}"
            differ.append(what)
    if differ:
        raise ValueError(f"cannot resume from {path}: {'; '.join(differ)}")
    if trainer["epoch"] > epochs:
        raise ValueError(f"cannot resume from {path}: {trainer['epoch']} epochs are done, and epochs={epochs} asks for fewer")


def settings_of(source, accumulate, rebatch, steps_per_epoch, shuffle, seed):
    """What the order of examples, and with it every bit, depends on."""
    return {
        "seed": seed,
        "batch_size": source.micro_batch,
        "accumulate": accumulate,
        "rebatch": rebatch,
        "steps_per_epoch": steps_per_epoch,
        "shuffle": bool(shuffle),
        "data": digest(source.data) if hasattr(source, "data") else kind_of(source.source),
    }


class Terminated(BaseException):
    """SIGTERM came: the run is to be saved and the process left."""


@contextlib.contextmanager
def heeding_sigterm(wanted):
    """Gives a function that raises `Terminated` where SIGTERM came since; the signal then takes its course at the end.

    A Python signal handler cannot run inside a TensorFlow call, and may not raise between two lines of a callback. So it
    only takes note, and the run asks between its pieces.
    """
    before = signal.getsignal(signal.SIGTERM)
    here = threading.current_thread() is threading.main_thread()
    if not (wanted and here) or before in (signal.SIG_IGN, None):  # None: a handler in C, which could not be put back
        yield lambda: None
        return
    came = []

    def check():
        if came:
            raise Terminated

    signal.signal(signal.SIGTERM, lambda *_: came.append(True))
    try:
        yield check
    finally:
        signal.signal(signal.SIGTERM, before)
        if came:
            sys.stdout.flush()
            signal.raise_signal(signal.SIGTERM)
            raise SystemExit(128 + signal.SIGTERM)
