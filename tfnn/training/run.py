"""The host's side of a run: epochs, pieces of the graph between which callbacks are heard, numbers that go wrong."""

import time
import warnings
from typing import Any, NamedTuple

import keras

from tfnn.training.hooks import TRAIN_HOOKS, set_progress_target, steers, wants
from tfnn.training.nonfinite import NonFiniteError


class Phase(NamedTuple):
    """What is trained on what, as long as no layer is frozen or unfrozen.

    graph: the `TrainingGraph`. source: `Arrays` or a `Stream`. validate: gives the metrics on the validation data, or None;
    called with a function to call between its pieces. line: all this in words. why: the reason for what XLA compiles.
    """

    graph: Any
    source: Any
    validate: Any
    line: str
    why: str


class Run:
    """One call of `fit`, from epoch to epoch.

    Args:
        phase: the first `Phase`.
        next_phase: gives another, for the `Controls` of the run, after layers were frozen or unfrozen.
        callbacks: a `keras.callbacks.CallbackList`.
        steps_per_epoch: updates of an epoch, or None for a pass over the source.
        nonfinite: "stop", "skip" or "ignore".
        profile: the `Profile` of the run.
    """

    def __init__(self, phase, next_phase, callbacks, steps_per_epoch, nonfinite, profile):
        self.controls, self.model = phase.graph.controls, phase.graph.compiled.model
        self.callbacks, self.steps, self.next_phase = callbacks, steps_per_epoch, next_phase
        self.traced = []  # (graph, traces that it had before)
        self.enter(phase)
        self.nonfinite, self.profile, self.saver = nonfinite, profile, None
        self.every_update = any(wants(callback, TRAIN_HOOKS) for callback in callbacks.callbacks)
        self.steering = [callback for callback in callbacks.callbacks if steers(callback)]
        self.progress = [c for c in callbacks.callbacks if isinstance(c, keras.callbacks.ProgbarLogger)]
        self.step, self.updates, self.skipped, self.batch_sizes, self.logs, self.validations = 0, 0, 0, [], {}, 0
        self.heed, self.tell = lambda: None, lambda line: None

    def enter(self, phase):
        self.graph, self.source, self.validate, _, self.why = phase
        self.traced.append((self.graph, self.graph.traces))
        self.fresh = True  # whether no piece of this phase is done, which may have built the optimizer

    @property
    def traces(self):
        """Of training graphs, made by this run."""
        return sum(graph.traces - before for graph, before in self.traced)

    def epochs(self, first, last, seed, micro_batches, validation_freq):
        """Trains from epoch `first` up to `last`, with `micro_batches` to an update at the start."""
        self.model.stop_training, self.last, resumed = False, last, self.saver.resumed
        self.callbacks.on_train_begin()
        first = self.graph.compiled.restored_epoch() or first
        self.controls.begin(None, first, seed, micro_batches)
        self.controls.population = self.source.examples(None, self.controls)
        self.controls.begin(self.source.examples(self.steps, self.controls), first, seed, micro_batches)
        if resumed:
            self.saver.restore()
            first = self.epoch
        for self.epoch in range(first, last):
            if self.model.stop_training:
                break
            self.begin_epoch(self.saver.restore if resumed and self.step and self.epoch == first else None)
            self.train()
            if self.validate is not None and self.graph.compiled.validates(self.epoch, validation_freq):
                self.logs |= {f"val_{name}": value for name, value in self.validate(self.heed).items()}
                self.validations += 1
            self.callbacks.on_epoch_end(self.epoch, self.logs)
            self.saver.save(epoch_end=True)
        if first < last or resumed:
            self.model.optimizer.finalize_variable_values(self.model.trainable_weights)
        self.callbacks.on_train_end(self.logs)

    def begin_epoch(self, restore):
        """`restore` takes up an epoch in its middle, again, as callbacks may have set anew what was set when it began."""
        self.callbacks.on_epoch_begin(self.epoch)
        if not self.graph.compiled.trains_the_same:
            phase, before = self.next_phase(self.controls), self.source
            if self.steps and phase.source is not before and before.passes is not None:
                phase.source.go_on_from(before)  # epochs that are no passes go on where the last one ended
            self.tell(phase.line)
            self.enter(phase)
        if restore:
            restore(again=True)
        else:
            self.step, self.logs = 0, {}
            self.begin_pass()
            self.steer()
            self.batch_sizes.append(self.controls.batch_size if self.source.micro_batch else None)
        self.show_steps()

    def show_steps(self):
        """Tells the progress bars of how many updates the epoch now consists."""
        left = self.source.updates_left(self.controls)
        for bar in self.progress:
            set_progress_target(bar, self.steps or (left and self.step + left))

    def steer(self):
        """Has the callbacks that steer set what is to hold from the next update on."""
        if self.steering:
            size = self.controls.batch_size
            self.update = self.graph.compiled.count()
            for callback in self.steering:
                callback.on_update_begin(self.update)
            if self.controls.batch_size != size:
                self.show_steps()

    def train(self):
        """The updates of an epoch; `logs` are those of its end."""
        listens = self.every_update or self.progress  # else nobody does, and Keras would still start a thread to tell
        while not (self.model.stop_training or self.source.ended or self.step == self.steps):
            self.steer()
            if listens:
                self.callbacks.on_train_batch_begin(self.step)
            result = self.piece(self.limit())
            if result is None:
                self.check_continues()
                if self.steps and not self.step:  # a source of unknown length, which the last epoch had used up
                    self.begin_pass()
                continue
            logs = result.logs if result.good else self.logs
            if listens:
                self.callbacks.on_train_batch_end(self.step - 1, logs)
            self.logs = dict(logs if result.epoch_logs is None else result.epoch_logs)
            self.saver.save()
            self.profile.after(self.updates)
            self.heed()
        self.check_continues()
        if self.steps and self.step < self.steps and self.source.ended:
            warnings.warn(f"the data ended after {self.step} of {self.steps} updates of epoch {self.epoch}", stacklevel=2)
        if self.source.length is None and not self.steps:
            self.source.length = self.source.at[0]

    def check_continues(self):
        """Refuses to go on with a generator that has ended, as it cannot be read again."""
        lacking = self.step < (self.steps or 0) or self.epoch + 1 < self.last
        if self.source.once and self.source.ended and lacking and not self.model.stop_training:
            raise ValueError(
                f"the generator ended in epoch {self.epoch} after {self.step} updates, and {self.last} epochs of"
                f" {self.steps or 'all its'} updates were to come: let it yield more, or give a PyDataset, which is read again"
            )

    def begin_pass(self):
        """An epoch is a pass over the data; or `steps` updates, which go on where the last epoch ended."""
        if not self.steps:
            self.source.seek(self.epoch)
        elif self.source.passes is None or self.source.ended:
            self.source.seek(self.epoch if self.source.passes is None else self.source.passes + 1)

    def limit(self):
        """Updates of the next piece."""
        updates = self.model.steps_per_execution if self.every_update else self.graph.pace.steps // self.controls.micro_batches
        left = self.steps - self.step if self.steps else updates
        due = [callback.updates_until_due(self.update) or updates for callback in self.steering]
        return max(1, min(updates, left, *due, self.saver.updates_until_due(), self.profile.updates_until(self.updates)))

    def piece(self, limit):
        """Up to `limit` updates in one call of the graph. Gives its `Result`, or None where the source had ended before."""
        began = time.perf_counter()
        updates, result = self.source.train(self.graph, limit, fresh=not self.step)
        if not result.good:
            return self.went_wrong(updates, result)
        if not updates:
            return None
        self.graph.pace.record(updates * self.controls.micro_batches, time.perf_counter() - began)
        if self.fresh:
            self.graph.compiled.remember()
            self.fresh = False
        self.step, self.updates = self.step + updates, self.updates + updates
        return result

    def went_wrong(self, updates, result):
        """After a call that was undone: it is made again up to the update in which a number went wrong.

        A stream cannot be read again; there only that update was undone, and the run stands behind it.
        """
        if result.last is None and updates > 1:
            return self.piece(updates - 1)
        before = updates - 1
        self.step, self.updates = self.step + before, self.updates + before
        found = self.source.diagnosis(self.graph, result)
        if self.nonfinite == "stop":
            raise NonFiniteError(self.epoch, self.step, *found)
        self.step, self.skipped = self.step + 1, self.skipped + 1
        return result
