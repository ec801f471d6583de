"""From training to an answer, and to a new version and an end under load, in which no request is lost or answered wrongly."""

import base64
import itertools
import json
import subprocess
import threading
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn

pytest.importorskip("mlserver", reason="tfnn serve needs the extra serve")

import grpc
from mlserver.grpc import dataplane_pb2 as messages

from tests.serving.server.running import Connection, Running, arrays
from tfnn.serving.server.tensors import packed

CLIENTS = 4  # over REST, and as many over gRPC
IMAGES = 20


def trained(digits, seed):
    """A model that knows digits, after a blink of training."""
    keras.utils.set_random_seed(seed)
    standardize = tfnn.layers.Standardize(axis=-1)
    standardize.adapt(digits.train.x)
    model = tfnn.models.mlp(digits.image_shape, 10, standardize=standardize)
    model.compile(tfnn.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy")
    tfnn.fit(model, digits.train.x, digits.train.y, 64, 3, verbose=0)
    return model


def publish(model, digits, folder):
    return tfnn.export(model, folder, labels=digits.class_names, preprocess=lambda pixels: pixels * (16 / 255))


class Load:
    """Clients that ask without pause until the server refuses; each compares every answer with that of the version it bears.

    counts: answers by version. wrong: what was lost or answered wrongly.
    """

    def __init__(self, running, files, answers):
        self.running, self.files, self.answers = running, files, answers
        self.counts, self.wrong, self.lock = {}, [], threading.Lock()
        self.ending = False
        self.threads = [threading.Thread(target=self.ask, args=(way,)) for way in (self.rest, self.rpc) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def ask(self, way):
        version = 0
        ask = way()
        for turn in itertools.count():
            place = turn % len(self.files)
            try:
                answer = ask(place)
            except Exception as error:
                with self.lock:
                    self.wrong.append(repr(error))
                return
            if answer is None:
                return
            given, probabilities = answer
            right = np.allclose(probabilities, self.answers[given][place], atol=1e-5)
            with self.lock:
                self.counts[given] = self.counts.get(given, 0) + 1
                if not right or given < version:
                    self.wrong.append(f"version {given} after {version}: {probabilities}")
            version = given

    def rest(self):
        """A connection that is kept until the server closes it; a server that has ended takes no new one."""
        connection = Connection(self.running)

        def ask(place):
            data = [base64.b64encode(self.files[place]).decode()]
            body = json.dumps({"inputs": [{"name": "image_bytes", "shape": [1], "datatype": "BYTES", "data": data}]})
            try:
                if connection.sock is None:
                    connection.connect()
            except ConnectionRefusedError:
                if self.ending:
                    return None
                raise
            status, answer = connection.infer(body, "digits")
            assert status == 200, answer
            return int(answer["model_version"]), arrays(answer)["probabilities"][0]

        return ask

    def rpc(self):
        def ask(place):
            tensor = messages.ModelInferRequest.InferInputTensor(name="image_bytes", datatype="BYTES", shape=[1])
            raw = packed(np.array([self.files[place]], object))
            request = messages.ModelInferRequest(model_name="digits", inputs=[tensor], raw_input_contents=[raw])
            try:
                answer = self.running.stub.ModelInfer(request, timeout=60)
            except grpc.RpcError as error:
                if self.ending and error.code() == grpc.StatusCode.UNAVAILABLE:
                    return None
                raise
            return int(answer.model_version), self.running.outputs(answer)["probabilities"][0]

        return ask

    def wait(self, total, seconds=300):
        end = time.monotonic() + seconds
        while sum(self.counts.values()) < total:
            assert not self.wrong, self.wrong[:3]
            assert time.monotonic() < end, self.counts
            time.sleep(0.02)

    def end(self):
        """The server's exit code after SIGTERM under load."""
        self.ending = True
        self.running.process.terminate()
        for thread in self.threads:
            thread.join(60)
        return self.running.process.wait(60)


@pytest.mark.parametrize("requests", [600, pytest.param(10_000, marks=pytest.mark.slow)])
def test_the_whole_way(requests, digits, tmp_path):
    pixels = np.round(digits.test.x[:IMAGES] * (255 / 16)).astype(np.uint8)
    files = [tf.io.encode_png(image).numpy() for image in pixels]
    models = [trained(digits, seed) for seed in (1, 2)]
    answers = {number: model.predict(pixels * (16 / 255), verbose=0) for number, model in enumerate(models, 1)}
    assert np.abs(answers[1] - answers[2]).max() > 0.01  # else a wrong version could not be told
    folder = tmp_path / "models" / "digits"
    publish(models[0], digits, folder)
    running = Running(folder.parent, tmp_path / "log")

    (tmp_path / "body.json").write_text(
        json.dumps(
            {
                "inputs": [
                    {
                        "name": "image_bytes",
                        "shape": [IMAGES],
                        "datatype": "BYTES",
                        "data": [base64.b64encode(file).decode() for file in files],
                    }
                ]
            }
        )
    )
    url = f"http://127.0.0.1:{running.rest}/v2/models/digits/infer"
    by_curl = subprocess.run(["curl", "-sf", url, "-d", f"@{tmp_path / 'body.json'}"], capture_output=True, check=True).stdout
    np.testing.assert_allclose(arrays(json.loads(by_curl))["probabilities"], answers[1], atol=1e-5)
    by_call = running.call("image_bytes", "BYTES", [IMAGES], raw=packed(np.array(files, object)), model="digits")
    np.testing.assert_allclose(by_call["probabilities"], answers[1], atol=1e-5)

    load = Load(running, files, answers)
    load.wait(requests // 3)
    publish(models[1], digits, folder)
    running.wait_for("digits: version 2 replaces 1")
    at_change = dict(load.counts)
    load.wait(max(requests, sum(at_change.values()) + requests // 3))
    assert load.end() == 0
    assert load.wrong == []
    assert set(load.counts) == {1, 2} and load.counts[1] <= at_change[1] + 2 * CLIENTS
    assert running.log.splitlines()[-1].endswith("stopped") and "Traceback" not in running.log
