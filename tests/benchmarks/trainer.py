"""What `tfnn.fit` costs beside the plain run: streams, hooks, validation, mixed precision, checkpoints, memory."""

import json
import os
import subprocess
import sys
import tempfile
import textwrap

import keras
import numpy as np
import tensorflow as tf

import tfnn
from tests.benchmarks.fit import compiled, dense, keras_resnet20, ours, resnet20
from tests.benchmarks.timing import Row, compare


def both(build, keras_build=None, policy=None, data=None, **arguments):
    """(tfnn's run, {name: Keras's}) of the same work; `data` and `callbacks` are functions, made anew for each side."""
    callbacks = arguments.pop("callbacks", list)
    if policy:
        keras.config.set_dtype_policy(policy)
    try:
        mine, theirs = compiled(build), compiled(keras_build or build, keras.optimizers.SGD)
    finally:
        keras.config.set_dtype_policy("float32")
    x, y = data()
    run = lambda fit, model: lambda: fit(model, x, y, verbose=0, callbacks=callbacks(), **arguments)
    return run(tfnn.fit, mine), {"model.fit": run(keras.Model.fit, theirs)}


class Listener(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        pass


def rows():
    digits = tfnn.data.digits()
    flat, y = digits.train.x.reshape(-1, 64).astype("float32") / 16, digits.train.y
    arrays = lambda: (flat, y)
    stream = lambda: (tf.data.Dataset.from_tensor_slices((flat, y)).cache().shuffle(len(y)).batch(32).prefetch(2), None)
    sets = {"batch_size": 32, "epochs": 5, "data": arrays}
    yield from compare("dense, tf.data", *both(dense, epochs=5, data=stream), scale=1e3 / 5)
    yield from compare("dense, a hook per batch", *both(dense, callbacks=lambda: [Listener()], **sets), scale=1e3 / 5)
    yield from compare("dense, validation", *both(dense, validation_data=(flat, y), **sets), scale=1e3 / 5)

    random = np.random.default_rng(0)
    x, y = random.random((1024, 32, 32, 3), "float32"), random.integers(0, 10, 1024).astype("int32")
    images = lambda: (x, y)
    mixed = both(resnet20, keras_resnet20, "mixed_bfloat16", images, batch_size=128)
    yield from compare("ResNet-20, mixed_bfloat16", *mixed, rounds=5)
    yield from checkpoint_cost(x, y)
    yield from memory()


def checkpoint_cost(x, y):
    """An epoch of ResNet-20 with a checkpoint at its end against one without."""
    plain, model = ours(resnet20, x, y, 128, 1), compiled(resnet20)

    def saved():
        with tempfile.TemporaryDirectory() as directory:
            tfnn.fit(model, x, y, batch_size=128, verbose=0, callbacks=[tfnn.callbacks.Checkpoint(directory, monitor="loss")])

    yield from compare("ResNet-20, 8 updates, checkpoint", saved, {"tfnn.fit without": plain}, rounds=7)


PEAK = """
    import resource, sys
    import keras, numpy as np, tensorflow as tf, tfnn
    from tests.benchmarks.fit import compiled, dense

    x, y = np.zeros((400_000, 64), "float32"), np.zeros(400_000, "int32")
    model = compiled(dense)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fit = keras.Model.fit if sys.argv[1] == "keras" else tfnn.fit
    more = {"jit_compile": False} if sys.argv[1] == "graph" else {}
    fit(model, x, y, batch_size=1024, epochs=2, verbose=0, **more)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def memory():
    """What the peak of a process rises by in a fit on 102 MB of data; XLA's compiler takes a fixed part of it."""
    peak = {}
    for side in "xla", "graph", "keras":
        run = [sys.executable, "-c", textwrap.dedent(PEAK), side]
        out = subprocess.run(run, check=True, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": os.getcwd()})
        peak[side] = json.loads(out.stdout.split()[-1])
    for side, name in ("xla", "XLA"), ("graph", "no XLA"):
        what = f"dense, {name}, peak, 102 MB of data"
        yield Row(what, "model.fit", peak[side], peak["keras"], "MB", peak["keras"] / peak[side])
