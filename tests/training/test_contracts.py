"""Names that a user's own classes happen to share with tfnn's contracts mean nothing to the trainer."""

import keras
import numpy as np

import tfnn
from tfnn.training.resume import saver

X = np.random.RandomState(0).normal(size=(64, 4)).astype("float32")
Y = np.arange(64, dtype="int32") % 3
FIT = {"batch_size": 16, "epochs": 2, "verbose": 0, "seed": 1}


def compiled(optimizer="sgd"):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def test_a_subclass_of_tensorboard_hears_each_batch(tmp_path):
    class Board(tfnn.callbacks.TensorBoard):
        def on_train_batch_end(self, batch, logs=None):
            heard.append(batch)

    heard = []
    tfnn.fit(compiled(), X, Y, **FIT, callbacks=[Board(tmp_path)])
    assert heard == [0, 1, 2, 3] * 2


def test_attributes_of_a_users_schedule_and_optimizer_are_their_own(tmp_path):
    class Schedule(keras.optimizers.schedules.LearningRateSchedule):
        state = "warm", "cold"

        def __call__(self, step):
            return 0.1

        def get_config(self):
            return {}

    class SGD(keras.optimizers.SGD):
        factors, form, take_in, set_clocks = {}, "a form", 1, 2
        state_by_place = traced_objects = None

    class Folder(keras.callbacks.Callback):
        log_dir = None

    checkpoint = tfnn.callbacks.Checkpoint(tmp_path, monitor="loss")
    model = compiled(SGD(Schedule()))
    history = tfnn.fit(model, X, Y, **FIT, callbacks=[Folder(), checkpoint])
    assert history.updates == 8


def test_a_refused_call_leaves_the_flags_of_layers(monkeypatch):
    class Freeze(tfnn.controls.Freezing):
        def freeze_for(self, epoch):
            self.model.layers[0].trainable = False

    grow = [tfnn.callbacks.BatchSizeScheduler({1: 32}, mode=mode) for mode in ("accumulate", "rebatch")]
    model = compiled()
    try:
        tfnn.fit(model, X, Y, **FIT, callbacks=[Freeze(), *grow])
    except ValueError as error:
        assert "choose one" in str(error)
    assert model.layers[0].trainable


def test_a_resumed_run_hashes_the_data_once_and_counts_what_it_did(tmp_path, monkeypatch):
    checkpoint = lambda: tfnn.callbacks.Checkpoint(tmp_path, monitor="loss")
    tfnn.fit(compiled(), X, Y, **FIT, callbacks=[checkpoint()])
    digest, hashed = saver.digest, []
    monkeypatch.setattr(saver, "digest", lambda data: hashed.append(1) or digest(data))
    model = compiled()
    tfnn.fit(model, X, Y, **{**FIT, "epochs": 5}, callbacks=[checkpoint()], resume=tmp_path)
    assert len(hashed) == 1
    assert [(done.updates, done.epochs) for done in model._tfnn_done.values()] == [(12, 3)]
