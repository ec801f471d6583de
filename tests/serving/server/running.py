"""A `tfnn serve` in a process of its own, and clients that are not made of its code."""

import http.client
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request

import grpc
import numpy as np
from mlserver.grpc import dataplane_pb2 as messages
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub

STARTED = re.compile(r"REST http://127\.0\.0\.1:(\d+), gRPC 127\.0\.0\.1:(\d+), metrics http://127\.0\.0\.1:(\d+)/metrics")
FREE = ["--http-port", "0", "--grpc-port", "0", "--metrics-port", "0", "--poll", "0.1"]


class Running:
    """Serves `folder` from its start to `stop`. log: what it has written so far."""

    def __init__(self, folder, log, *options):
        self.path = pathlib.Path(log)
        self.command = [sys.executable, "-m", "tfnn", "serve", str(folder), *FREE, *map(str, options)]
        with open(log, "wb") as file:
            self.process = subprocess.Popen(self.command, stdout=file, stderr=subprocess.STDOUT, env={**os.environ})
        try:
            found = self.wait_for(STARTED)
        except AssertionError:
            self.process.kill()
            raise
        self.rest, self.grpc, self.metrics = map(int, found.groups())
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.grpc}", [("grpc.max_send_message_length", -1)])
        self.stub = GRPCInferenceServiceStub(self.channel)

    @property
    def log(self):
        return self.path.read_text()

    def wait_for(self, pattern, seconds=300):
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.log)):
            assert self.process.poll() is None, self.log
            assert time.monotonic() < end, f"no {pattern} in {self.log}"
            time.sleep(0.05)
        return found

    def stop(self):
        """Its exit code after SIGTERM."""
        self.channel.close()
        self.process.terminate()
        return self.process.wait(60)

    def get(self, path, data=None, headers=None, method=None):
        """(status, JSON or None) of one request on a connection of its own."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.rest}{path}", data, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, content(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, content(error.read())

    def infer(self, body, model="m", headers=None):
        """The same for an inference; `body` is bytes, or what becomes JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.get(f"/v2/models/{model}/infer", data, headers)

    def answers(self, *inputs, **more):
        """{output: numpy array} of inputs (name, datatype, array or list) over REST."""
        tensors = [
            {"name": name, "datatype": datatype, "shape": list(np.shape(data)), "data": np.asarray(data).ravel().tolist()}
            for name, datatype, data in inputs
        ]
        status, answer = self.infer({"inputs": tensors} | more)
        assert status == 200, answer
        return arrays(answer)

    def call(self, name, datatype, shape, raw=None, model="m", **contents):
        """{output: numpy array} over gRPC."""
        tensor = messages.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape)
        for field, values in contents.items():
            getattr(tensor.contents, field).extend(values)
        request = messages.ModelInferRequest(model_name=model, inputs=[tensor])
        if raw is not None:
            request.raw_input_contents.append(raw)
        return self.outputs(self.stub.ModelInfer(request, timeout=60))

    @staticmethod
    def outputs(response):
        """Texts only of typed contents."""
        found = {}
        for place, output in enumerate(response.outputs):
            field, dtype = {"FP32": ("fp32_contents", "f4"), "BOOL": ("bool_contents", "?")}.get(
                output.datatype, ("bytes_contents", object)
            )
            if not response.raw_output_contents:
                values = np.array(getattr(output.contents, field))
            elif dtype is object:
                continue
            else:
                values = np.frombuffer(response.raw_output_contents[place], dtype)
            found[output.name] = values.reshape(list(output.shape))
        return found


def content(received):
    return json.loads(received) if received else None


def arrays(answer):
    return {output["name"]: np.array(output["data"]).reshape(output["shape"]) for output in answer["outputs"]}


class Connection(http.client.HTTPConnection):
    """Kept alive, as that of a client under load."""

    def __init__(self, running):
        super().__init__("127.0.0.1", running.rest, timeout=60)

    def infer(self, body, model="m"):
        self.request("POST", f"/v2/models/{model}/infer", body)
        response = self.getresponse()
        return response.status, json.loads(response.read())
