"""The host's side of a run: epochs, pieces of the graph between which callbacks are heard, numbers that go wrong."""

import time
import warnings

import keras
import tensorflow as tf

from tfnn import controls
from tfnn.internals.callbacks import set_progress_target
from tfnn.training.graph.nonfinite import NonFiniteError
from tfnn.training.loop.hooks import TRAIN_HOOKS, steers, wants
from tfnn.training.loop.sigterm import Terminated, heeding_sigterm
from tfnn.training.loop.views import views_of
from tfnn.training.loop.work import Work, remember
from tfnn.training.source.arrays import Arrays

NOT_COMPILED = tf.errors.InvalidArgumentError, tf.errors.UnimplementedError


class Run:
    """One call of `fit`, from epoch to epoch.

    Args:
        request: the `tfnn.training.request.Request`.
        data: (source, validation): what the model reads; a phase may read features of it.
        phases: makes the `Phase`s.
        phase: the first of them.
        callbacks: a `keras.callbacks.CallbackList`.
        progress: the `Progress`, which the saver holds, too.
        saver: the `Saver`.
        profile: the `Profile`.
    """

    def __init__(self, request, data, phases, phase, *, callbacks, progress, saver, profile):
        self.request, self.data, self.phases = request, data, phases
        self.model, self.controls, self.steps = request.model, phase.graph.controls, request.steps_per_epoch
        self.callbacks, self.progress, self.saver, self.profile = callbacks, progress, saver, profile
        self.traced = []  # (graph, traces that it had before)
        self.enter(phase)
        self.every_update = any(wants(callback, TRAIN_HOOKS) for callback in callbacks.callbacks)
        self.steering = [callback for callback in callbacks.callbacks if steers(callback)]
        self.bars = [callback for callback in callbacks.callbacks if isinstance(callback, keras.callbacks.ProgbarLogger)]
        self.validations = 0
        self.tell = lambda line: print(line, flush=True) if request.verbose else None

    def enter(self, phase):
        """Takes up a `Phase`. Its source is that of the run, or features of it."""
        self.phase, self.graph, self.source, self.validate = phase, phase.graph, phase.source, phase.validate
        self.traced.append((self.graph, self.graph.traces))
        self.phase_is_new = True  # whether no piece of this phase is done, which may have built the optimizer

    @property
    def traces(self):
        """Of training graphs, made by this run."""
        return sum(graph.traces - before for graph, before in self.traced)

    def train(self):
        """Trains, after telling the first line, and gives the `History`."""
        request = self.request
        self.tell(self.phase.line)
        self.controls.views = views_of(
            self, *self.data, request.validation_steps, request.augmentation, request.settings(self.data.source)
        )
        try:
            with heeding_sigterm(self.saver.targets) as self.heed, controls.use(self.controls):
                try:
                    self.epochs()
                except Terminated:
                    self.saver.save(self.source, leaving=True)
        finally:  # after Ctrl-C too the history tells what was done
            self.conclude()
        return self.model.history

    def conclude(self):
        self.data.source.close()
        self.profile.close()
        self.controls.views = None  # a circle, which would keep the data until Python looks for it
        progress, history, work = self.progress, self.model.history, self.work_done()
        history.updates, history.skipped, history.batch_sizes = progress.updates, progress.skipped, progress.batch_sizes
        history.traces, history.jit_compile, history.jit_compile_reason = self.traces, self.graph.key.jit.on, self.phase.why
        remember(self.model, self.data.source, work)

    def work_done(self):
        """By this call: what a checkpoint tells of was done by another, for its own model."""
        resumed, progress = self.saver.resumed, self.progress
        updates, epochs = progress.updates, len(progress.batch_sizes)
        if resumed:
            updates, epochs = updates - resumed.trainer["updates"], epochs - len(resumed.trainer["batch_sizes"])
        validated = 0
        if self.validations:
            validated = self.validations * (self.request.validation_steps or self.data.validation.length or 0)
        return Work(max(0, updates) * self.request.accumulate, validated, max(0, epochs))

    # Epochs -------------------------------------------------------------------------------------------------------------

    def epochs(self):
        request, progress, resumed = self.request, self.progress, self.saver.resumed
        self.model.stop_training = False
        self.callbacks.on_train_begin()
        first = self.graph.compiled.restored_epoch() or request.initial_epoch
        self.begin_controls(first)
        if resumed:
            self.saver.restore()
            self.saver.restore_place(self.source, self.steps)
            first = progress.epoch
        in_the_middle = resumed and progress.step
        if resumed and not in_the_middle:
            self.saver.let_go()
        for progress.epoch in range(first, request.epochs):
            if self.model.stop_training:
                break
            self.begin_epoch(again=in_the_middle and progress.epoch == first)
            self.train_epoch()
            if self.validate is not None and self.graph.compiled.validates(progress.epoch, request.validation_freq):
                progress.logs |= {f"val_{name}": value for name, value in self.validate(self.heed).items()}
                self.validations += 1
            self.callbacks.on_epoch_end(progress.epoch, progress.logs)
            self.saver.save(self.source, epoch_end=True)
        if first < request.epochs or resumed:
            self.model.optimizer.finalize_variable_values(self.model.trainable_weights)
        self.callbacks.on_train_end(progress.logs)

    def begin_controls(self, epoch):
        """Before callbacks steer: the first batch size, and how long an epoch is."""
        self.controls.start(self.request.seed, self.request.accumulate)
        self.controls.population = self.source.examples(None, self.controls)
        self.controls.begin_clock(self.source.examples(self.steps, self.controls), epoch)

    def begin_epoch(self, again):
        """`again` takes up an epoch in its middle, once more, as callbacks may have set anew what was set when it began."""
        progress = self.progress
        self.callbacks.on_epoch_begin(progress.epoch)
        if not self.graph.compiled.trains_the_same:
            self.change_phase()
        if again:
            self.saver.restore()
            self.saver.let_go()
        else:
            progress.step, progress.logs = 0, {}
            self.begin_pass()
            self.steer()
            progress.batch_sizes.append(self.controls.batch_size if self.source.micro_batch else None)
        self.show_steps()

    def change_phase(self):
        phase, before = self.phases.make(self.controls), self.source
        if self.steps and phase.source is not before and before.passes is not None:
            phase.source.go_on_from(before)  # epochs that are no passes go on where the last one ended
        self.tell(phase.line)
        self.enter(phase)
        self.saver.enter(phase.graph)

    def go_on_without_xla(self, error):
        """XLA refuses some shapes only as it compiles, before anything is trained. Another error comes again without it."""
        place, passes = self.source.place, self.source.passes
        self.phases.refused = f"XLA cannot compile it: {first_words(error)}"
        self.change_phase()
        if not isinstance(self.source, Arrays):
            self.source.seek(passes, place)  # a batch was read

    def begin_pass(self):
        """An epoch is a pass over the data; or `steps` updates, which go on where the last epoch ended."""
        if not self.steps:
            self.source.seek(self.progress.epoch)
        elif self.source.passes is None or self.source.ended:
            self.source.seek(self.progress.epoch if self.source.passes is None else self.source.passes + 1)

    def show_steps(self):
        """Tells the progress bars of how many updates the epoch now consists."""
        left = self.source.updates_left(self.controls)
        for bar in self.bars:
            set_progress_target(bar, self.steps or (left and self.progress.step + left))

    def steer(self):
        """Has the callbacks that steer set what is to hold from the next update on."""
        if self.steering:
            size = self.controls.batch_size
            self.update = self.graph.compiled.count()
            for callback in self.steering:
                callback.on_update_begin(self.update)
            if self.controls.batch_size != size:
                self.show_steps()

    # Updates ------------------------------------------------------------------------------------------------------------

    def train_epoch(self):
        """Trains one epoch; afterwards `progress.logs` are those of the epoch."""
        progress = self.progress
        listens = self.every_update or self.bars  # else nobody does, and Keras would still start a thread to tell
        while not (self.model.stop_training or self.source.ended or progress.step == self.steps):
            self.steer()
            if listens:
                self.callbacks.on_train_batch_begin(progress.step)
            result = self.piece(self.limit())
            if result is None:
                self.check_continues()
                if self.steps and not progress.step:  # a source of unknown length, which the last epoch had used up
                    self.begin_pass()
                continue
            logs = result.logs if result.good else progress.logs
            if listens:
                self.callbacks.on_train_batch_end(progress.step - 1, logs)
            progress.logs = dict(logs if result.epoch_logs is None else result.epoch_logs)
            self.saver.save(self.source)
            self.profile.after(progress.updates)
            self.heed()
        self.check_continues()
        if self.steps and progress.step < self.steps and self.source.ended:
            told = f"the data ended after {progress.step} of {self.steps} updates of epoch {progress.epoch}"
            warnings.warn(told, stacklevel=2)
        if self.source.length is None and not self.steps:
            self.source.length = self.source.place[0]

    def check_continues(self):
        """Refuses to go on with a generator that has ended, as it cannot be read again."""
        progress, last = self.progress, self.request.epochs
        lacking = progress.step < (self.steps or 0) or progress.epoch + 1 < last
        if self.source.once and self.source.ended and lacking and not self.model.stop_training:
            raise ValueError(
                f"the generator ended in epoch {progress.epoch} after {progress.step} updates, and {last} epochs of"
                f" {self.steps or 'all its'} updates were to come: let it yield more, or give a PyDataset, which is read again"
            )

    def limit(self):
        """Updates of the next piece."""
        updates = self.model.steps_per_execution if self.every_update else self.graph.pace.steps // self.controls.micro_batches
        left = self.steps - self.progress.step if self.steps else updates
        due = [callback.updates_until_due(self.update) or updates for callback in self.steering]
        due += [self.saver.updates_until_due(), self.profile.updates_until(self.progress.updates)]
        return max(1, min(updates, left, *due))

    def piece(self, limit):
        """Up to `limit` updates in one call of the graph. Gives its `Result`, or None where the source had ended before."""
        began = time.perf_counter()
        try:
            updates, result = self.graph.advance(self.source, limit, fresh=not self.progress.step)
        except NOT_COMPILED as error:
            if not (self.phase_is_new and self.graph.key.jit.on and self.request.jit_compile == "auto") or self.source.once:
                raise
            self.go_on_without_xla(error)
            return self.piece(limit)
        if not result.good:
            return self.went_wrong(updates, result)
        if not updates:
            return None
        self.graph.pace.record(updates * self.controls.micro_batches, time.perf_counter() - began)
        if self.phase_is_new:
            self.graph.compiled.remember()
            self.phase_is_new = False
        self.count(updates)
        return result

    def count(self, updates):
        self.progress.step, self.progress.updates = self.progress.step + updates, self.progress.updates + updates

    def went_wrong(self, updates, result):
        """After a call in whose last update a number went wrong, which was undone.

        Where the whole call was undone, it is made again up to there.
        """
        if self.graph.undoes_calls and updates > 1:
            return self.piece(updates - 1)
        self.count(updates - 1)
        found = self.graph.diagnosis(self.source, result)
        if self.request.nonfinite == "stop":
            raise NonFiniteError(self.progress.epoch, self.progress.step, *found)
        self.progress.step, self.progress.skipped = self.progress.step + 1, self.progress.skipped + 1
        return result


def first_words(error):
    """What TensorFlow says first, in one line."""
    return " ".join(error.message.replace("Graph execution error:", "").replace("Detected at node", "at").split())[:80]
