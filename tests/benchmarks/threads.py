"""`tfnn.cli.threads`: one thread for each operation against TensorFlow's choice, on both sides of the bound.

TensorFlow takes its threads once in a process, so each side runs in processes of its own, in turn.
"""

import statistics
import subprocess
import sys
import time

from tests.benchmarks.timing import Row

# image side, depth, batch size, examples of an epoch
WORKLOADS = {
    "ResNet-8 8×8, batch 32": (8, 8, 32, 1024),
    "ResNet-20 16×16, batch 32": (16, 20, 32, 512),
    "ResNet-20 32×32, batch 32": (32, 20, 32, 256),
    "ResNet-20 32×32, batch 128": (32, 20, 128, 512),
}


def rows(rounds=3):
    from tfnn.cli.threads import intra_op_threads

    for what, (side, _, batch_size, _) in WORKLOADS.items():
        seconds = {1: [], 0: []}
        for _ in range(rounds):
            for threads, runs in seconds.items():
                command = [sys.executable, "-m", "tests.benchmarks.threads", what, str(threads)]
                runs.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        chosen = intra_op_threads(batch_size, (side, side, 1))
        ours, peer = seconds[chosen], seconds[1 - chosen]
        peer_name = "TensorFlow's choice of threads" if chosen else "one thread for each operation"
        ratio = statistics.median(b / a for a, b in zip(ours, peer))
        yield Row(what, peer_name, statistics.median(ours) * 1e3, statistics.median(peer) * 1e3, "ms/epoch", ratio)


def epoch_seconds(side, depth, batch_size, examples, threads):
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    import numpy as np

    import tfnn

    random = np.random.default_rng(0)
    x, y = random.random((examples, side, side, 1), "float32"), random.integers(0, 10, examples)
    model = tfnn.models.resnet((side, side, 1), 10, depth)
    model.compile(tfnn.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy")
    times = []
    for _ in range(5):
        began = time.perf_counter()
        tfnn.fit(model, x, y, batch_size, verbose=0)
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


if __name__ == "__main__":
    print(epoch_seconds(*WORKLOADS[sys.argv[1]], int(sys.argv[2])))
