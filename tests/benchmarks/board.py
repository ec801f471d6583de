"""What `tfnn.callbacks.TensorBoard` costs: epochs of the dense net of the digits with it against those without."""

import functools
import tempfile

import tfnn
from tests.benchmarks.fit import compiled, dense
from tests.benchmarks.timing import compare

SETTINGS = {"defaults": {}, "update_freq=1": {"update_freq": 1}, "histograms": {"histogram_freq": 1}}
EPOCHS = 20


def rows(rounds=5):
    digits = tfnn.data.digits()
    x, y = digits.train.x.reshape(-1, 64).astype("float32") / 16, digits.train.y
    plain, run = compiled(dense), functools.partial(tfnn.fit, x=x, y=y, batch_size=32, epochs=EPOCHS, verbose=0)
    for name, settings in SETTINGS.items():
        with tempfile.TemporaryDirectory() as directory:
            board, model = tfnn.callbacks.TensorBoard(directory, **settings), compiled(dense)
            watched = functools.partial(run, model, callbacks=[board])
            without = {"tfnn.fit without": functools.partial(run, plain)}
            yield from compare(f"dense, TensorBoard, {name}", watched, without, scale=1e3 / EPOCHS, rounds=rounds)
