"""What XLA's compilation costs on a CPU, and after how many updates it pays: the numbers behind `tfnn.training.graph.xla.PAYS`.

For each network the seconds that a first fit takes longer with XLA, what an update then gains, and their quotient.
"""

import statistics

import keras

import tfnn
from tests.benchmarks.cold import data, gru, lstm, plain_dense, sequential, transformer
from tests.benchmarks.timing import Row, seconds

ROWS, BATCH, EPOCHS, ROUNDS = 1504, 32, 3, 5  # no smaller last batch


def normalized():
    layers = keras.layers
    return sequential((64,), layers.Dense(128), layers.LayerNormalization(), layers.ReLU(), layers.Dense(10, "softmax"))


def wide():
    layers = keras.layers
    return sequential((64,), layers.Dense(1024, "relu"), layers.Dense(1024, "relu"), layers.Dense(10, "softmax"))


def simple_rnn():
    return sequential((20, 16), keras.layers.SimpleRNN(32), keras.layers.Dense(10, "softmax"))


def bag_of_words():
    layers = keras.layers
    pooled = layers.Embedding(100, 64), layers.GlobalAveragePooling1D()
    return sequential((20,), *pooled, layers.Dense(64, "relu"), layers.Dense(10, "softmax"), dtype="int32")


NETWORKS = {  # and the network whose data they read
    "dense net": (plain_dense, plain_dense),
    "dense net, LayerNormalization": (normalized, plain_dense),
    "dense net of 1,024 units": (wide, plain_dense),
    "Embedding, mean, dense": (bag_of_words, gru),
    "SimpleRNN": (simple_rnn, lstm),
    "LSTM": (lstm, lstm),
    "Embedding, GRU": (gru, gru),
    "transformer": (transformer, transformer),
}


def rows():
    for name, (build, like) in NETWORKS.items():
        x, y = data(like, ROWS)
        models = {True: build(), False: build()}
        fit = lambda jit, epochs: tfnn.fit(models[jit], x, y, batch_size=BATCH, epochs=epochs, verbose=0, jit_compile=jit)
        first = {jit: seconds(lambda jit=jit: fit(jit, 1)) for jit in models}
        each = {jit: [] for jit in models}
        for _ in range(ROUNDS):
            for jit in models:
                each[jit].append(seconds(lambda jit=jit: fit(jit, EPOCHS)) / (EPOCHS * ROWS / BATCH))
        on, off = (statistics.median(each[jit]) for jit in (True, False))
        compiling = first[True] - on * ROWS / BATCH - (first[False] - off * ROWS / BATCH)
        yield Row(name, "without XLA, an update", on * 1e3, off * 1e3, "ms", off / on)
        pays = compiling / (off - on) if off > on else float("inf")
        yield Row(name, f"compiled in {compiling:.1f} s, pays from", pays, pays, "updates", off / on)
