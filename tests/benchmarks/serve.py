"""Latency and throughput of `tfnn serve` under 1, 8 and 32 clients at once, with batching against without.

Clients are gRPC calls of one encoded image each from a process of their own, and share the machine's cores with the server.
"""

import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import tensorflow as tf

import tfnn
from tests.benchmarks.export import mobilenet
from tests.benchmarks.timing import Row
from tests.serving.server.running import Running

CLIENTS = 1, 8, 32
SECONDS = 4
ROUNDS = 3
DIGITS = pathlib.Path(__file__).parents[2] / "saved_models" / "digits"
ASK = """
import json, sys, threading, time
import grpc
from mlserver.grpc import dataplane_pb2 as messages
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub
port, model, clients, seconds, file = sys.argv[1:]
encoded = open(file, "rb").read()
tensor = messages.ModelInferRequest.InferInputTensor(name="image_bytes", datatype="BYTES", shape=[1])
raw = len(encoded).to_bytes(4, "little") + encoded
request = messages.ModelInferRequest(model_name=model, inputs=[tensor], raw_input_contents=[raw])
taken = []
def client():
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = GRPCInferenceServiceStub(channel)
        stub.ModelInfer(request)
        end = time.perf_counter() + float(seconds)
        while (began := time.perf_counter()) < end:
            stub.ModelInfer(request)
            taken.append(time.perf_counter() - began)
threads = [threading.Thread(target=client) for _ in range(int(clients))]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps(taken))
"""


def rows():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        images = np.random.RandomState(0).randint(0, 256, (2, 224, 224, 3)).astype(np.uint8)
        (folder / "mobilenet").write_bytes(tf.io.encode_jpeg(images[0]).numpy())
        (folder / "digits").write_bytes(tf.io.encode_png(images[1, :8, :8, :1]).numpy())
        tfnn.export(mobilenet(), folder / "bundles" / "mobilenet", preprocess=lambda x: x / 127.5 - 1)
        for name, bundle in (("digits", DIGITS), ("mobilenet", folder / "bundles")):
            with contextlib.ExitStack() as ends:
                servers = [Running(bundle, folder / f"log{size}", "--batch-size", size) for size in (64, 1)]
                for server in servers:
                    ends.callback(server.stop)
                for clients in CLIENTS:
                    yield from compared(servers, name, clients, folder / name)


def compared(servers, name, clients, file):
    """Both servers in turn."""
    taken = [[], []]
    for _ in range(ROUNDS):
        for side, server in zip(taken, servers):
            side += asked(server.grpc, name, clients, file)
    what = f"{name}, {clients} client{'s' if clients > 1 else ''}"
    for percent in (50, 99):
        ours, peer = (1e3 * np.percentile(side, percent) for side in taken)
        yield Row(f"{what}, p{percent}", "without batching", ours, peer, "ms", peer / ours)
    ours, peer = (len(side) / (ROUNDS * SECONDS) for side in taken)
    yield Row(f"{what}, throughput", "without batching", ours, peer, "images/s", ours / peer)


def asked(port, name, clients, file):
    """Seconds of each call."""
    command = [sys.executable, "-c", ASK, *map(str, (port, name, clients, SECONDS, file))]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
