"""Whatever is sent, the client gets a 4xx with a reason in one line, and the server goes on as if nothing had been."""

import base64
import contextlib
import json
import socket
import struct

import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("mlserver", reason="tfnn serve needs the extra serve")
pytest.importorskip("hypothesis")

import grpc
import hypothesis
from hypothesis import strategies as st
from mlserver.grpc import dataplane_pb2 as messages

from tests.serving.server.conftest import pictures
from tests.serving.server.test_pixels import bmp, frame, gif, png_bomb
from tfnn.serving.server.tensors import packed

IMAGE = {"name": "image", "shape": [1, 2, 2, 1], "datatype": "UINT8", "data": [1, 2, 3, 4]}
PNG = tf.io.encode_png(pictures()[0]).numpy()
JPEG = tf.io.encode_jpeg(pictures((30, 30, 3))).numpy()
PATH = "/v2/models/m/infer"


@pytest.fixture(autouse=True)
def goes_on(served):
    """After every test: ready, the same answer as before, and not a word in the log."""
    before, log = served.answers(("image", "UINT8", pictures())), served.log
    yield
    assert served.get("/v2/health/ready")[0] == 200 and served.log == log
    after = served.answers(("image", "UINT8", pictures()))
    np.testing.assert_array_equal(after["probabilities"], before["probabilities"])


def is_refusal(answer, reason=""):
    """A 4xx whose reason is one short line."""
    status, content = answer
    return 400 <= status < 500 and set(content) == {"error"} and is_line(content["error"]) and reason in content["error"]


def is_line(text):
    return 0 < len(text) <= 500 and "\n" not in text


def none(answers):
    """Asserts that every one of (answer, reason) is a refusal."""
    taken = [one for one in answers if not is_refusal(*one)]
    assert not taken, taken


def file_of(content):
    return {"name": "image_bytes", "shape": [1], "datatype": "BYTES", "data": [base64.b64encode(content).decode()]}


JSON = [
    (b"", "not JSON"),
    (b"{", "not JSON"),
    (b"\xff\xfe", "not JSON"),
    (b'{"inputs": [}', "not JSON"),
    (b"[" * 100_000, "not JSON"),
    (b'{"inputs": NaN}', "not JSON"),
    (b"null", "valid dictionary"),
    (b"[]", "valid dictionary"),
    (b'"text"', "valid dictionary"),
    ({}, "inputs: Field required"),
    ({"input": [IMAGE]}, "inputs: Field required"),
    ({"instances": [[1]]}, "inputs: Field required"),
    ({"inputs": []}, "no inputs given; wanted serving_default of image UINT8"),
    ({"inputs": {}}, "inputs: "),
    ({"inputs": None}, "inputs: "),
    ({"inputs": [None]}, "inputs.0: "),
    ({"inputs": [[]]}, "inputs.0: "),
    ({"inputs": [IMAGE, IMAGE]}, "given twice: image, image"),
    ({"inputs": [IMAGE, file_of(PNG)]}, "image UINT8, image_bytes BYTES given; wanted"),
    ({"inputs": [IMAGE], "id": 7}, "id: "),
    (
        {"inputs": [IMAGE], "outputs": [{"name": "nose"}]},
        "no output nose; it gives classes, ok, probabilities, scores",
    ),
    ({"inputs": [IMAGE], "outputs": [{}]}, "outputs.0.name: Field required"),
    ({"inputs": [IMAGE], "outputs": 3}, "outputs: "),
    ({"inputs": [IMAGE], "parameters": 3}, "parameters: "),
    ({"inputs": [IMAGE], "parameters": {"signature_name": "nose"}}, "no signature nose; there are serving_default"),
    ({"inputs": [IMAGE], "parameters": {"signature_name": 7}}, "no signature 7"),
    ({"inputs": [IMAGE], "parameters": {"signature_name": ["a"]}}, "no signature"),
    *(({"inputs": [{key: IMAGE[key] for key in IMAGE if key != gone}]}, f"inputs.0.{gone}: Field required") for gone in IMAGE),
]

TENSORS = [
    ({"name": "nose"}, "nose UINT8 given"),
    ({"name": "n" * 100_000}, "nnn"),
    ({"name": "line\nbreak"}, "given"),
    ({"name": 3}, "inputs.0.name"),
    ({"name": ""}, "given"),
    ({"datatype": "FP32", "shape": [1, 4]}, "has shape [1, 4]"),
    ({"datatype": "FP64"}, "image FP64 given"),
    ({"datatype": "INT8"}, "image INT8 given"),
    ({"datatype": "BYTES"}, "image BYTES given"),
    ({"datatype": "uint8"}, "inputs.0.datatype"),
    ({"datatype": "BF16"}, "inputs.0.datatype"),
    ({"datatype": 8}, "inputs.0.datatype"),
    ({"datatype": None}, "inputs.0.datatype"),
    ({"shape": []}, "each dimension must be at least 1"),
    ({"shape": [4]}, "image has shape [4], wanted [-1, -1, -1, -1]"),
    ({"shape": [2, 2]}, "image has shape [2, 2]"),
    ({"shape": [1, 2, 2, 1, 1]}, "image has shape [1, 2, 2, 1, 1]"),
    ({"shape": [1, 2, 2]}, "image has shape [1, 2, 2]"),
    ({"shape": [1, 2, 2, 2]}, "wants 8 elements, but the data has 4"),
    ({"shape": [1, 1, 2, 1]}, "wants 2 elements, but the data has 4"),
    ({"shape": [-1, 2, 2, 1]}, "at least 1"),
    ({"shape": [0, 2, 2, 1], "data": []}, "at least 1"),
    ({"shape": [1, 0, 2, 1], "data": []}, "at least 1"),
    ({"shape": [1, 2, 2, 0], "data": []}, "at least 1"),
    ({"shape": [2**31, 2**31, 2**31, 3]}, "but the data has 4"),
    ({"shape": [2**62, 2, 2, 1]}, "but the data has 4"),
    ({"shape": [10**30, 2, 2, 1]}, ""),
    ({"shape": [1.5, 2, 2, 1]}, "inputs.0.shape.0"),
    ({"shape": ["1.5", 2, 2, 1]}, "inputs.0.shape.0"),
    ({"shape": [None, 2, 2, 1]}, "inputs.0.shape.0"),
    ({"shape": "1221"}, "inputs.0.shape"),
    ({"shape": {"0": 1}}, "inputs.0.shape"),
    ({"shape": 4}, "inputs.0.shape"),
    ({"shape": [1] * 50_000}, ""),
    ({"shape": [17, 2, 2, 1], "data": [0] * 68}, "17 examples in one request; this server takes at most 16"),
    ({"shape": [1, 1000, 101, 1], "data": [0] * 101_000}, "101000 pixels in one request; this server takes at most 100000"),
    ({"shape": [10, 100, 101, 1], "data": [0] * 101_000}, "101000 pixels"),
    ({"shape": [1, 1, 1, 5], "data": [0] * 5}, "serving_default: "),
    ({"shape": [1, 1, 1, 300], "data": [0] * 300}, "serving_default: "),
    ({"data": []}, "but the data has 0"),
    ({"data": [1, 2, 3]}, "but the data has 3"),
    ({"data": [1, 2, 3, 256]}, "UINT8 holds 0 to 255"),
    ({"data": [1, 2, 3, -1]}, "UINT8 holds 0 to 255"),
    ({"data": [1, 2, 3, 2**63]}, "UINT8"),
    ({"data": [1, 2, 3, 10**40]}, ""),
    ({"data": [1, 2, 3, 1e400]}, ""),
    ({"data": [1, 2, 3, 0.5]}, "not consist of numbers"),
    ({"data": [True, True, False, True]}, "not consist of numbers"),
    ({"data": ["1", "2", "3", "4"]}, "not consist of numbers"),
    ({"data": [1, 2, 3, "4"]}, "not consist of numbers"),
    ({"data": [1, 2, 3, None]}, "not consist of numbers"),
    ({"data": [1, 2, 3, {}]}, "not consist of numbers"),
    ({"data": [[1, 2], [3]]}, "different lengths"),
    ({"data": [[1, 2], [3, 4]]}, "nested as [2, 2]"),
    ({"data": [[[[[1], [2]], [[3], [4]]]]]}, "nested as"),
    ({"data": "AQIDBA=="}, "must be a list"),
    ({"data": 4}, "must be a list"),
    ({"data": {"b64": "AQIDBA=="}}, "must be a list"),
    ({"data": None}, "must be a list"),
    ({"parameters": 1}, "inputs.0.parameters"),
    ({"parameters": {"content_type": 3}}, "inputs.0.parameters.content_type"),
    ({"parameters": {"headers": 3}}, "inputs.0.parameters.headers"),
]

FILES = [
    (b"", "no readable"),
    (b"a", "no readable"),
    (b"plain text, which is no image", "no readable"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no readable"),
    (b"%PDF-1.7", "no readable"),
    (b"PK\x03\x04" + bytes(100), "no readable"),
    (b"\x1f\x8b\x08" + bytes(100), "no readable"),
    (bytes(1000), "no readable"),
    (b"\xff" * 10_000, "no readable"),
    (b"RIFF\x00\x01\x00\x00WEBPVP8 " + bytes(100), "no readable"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n" + bytes(100), "no readable"),
    (b"\xff\x0a" + bytes(100), "no readable"),
    *((PNG[:end], "no readable") for end in range(0, len(PNG) - 12, 5)),
    *((JPEG[:end], "no readable") for end in range(1, len(JPEG) // 2, 30)),
    (JPEG[:300] + JPEG[2:], "no readable"),
    (PNG[:8] + PNG[33:], "no readable"),
    (PNG[:40] + bytes(20) + PNG[60:], "no readable"),
    (bmp(4, 4), "no readable"),
    (bmp(0, 0), "no readable"),
    (bmp(-4, 4, bytes(100)), "no readable"),
    (gif(3, 3), "no readable"),
    (gif(0, 0), "no readable"),
    (gif(3, 3, frame(0, 0)), "no readable"),
    (png_bomb(10_000, 10_000), "100000000 pixels in one request; this server takes at most 100000"),
    (png_bomb(100_000, 2), "200000 pixels"),
    (PNG[:16] + struct.pack(">II", 2**31 - 1, 2**31 - 1) + PNG[24:], "4611686014132420609 pixels"),
    (PNG[:16] + struct.pack(">II", 2**32 - 1, 2**32 - 1) + PNG[24:], "pixels"),
    (JPEG.replace(struct.pack(">HH", 30, 30), b"\xff\xff\xff\xff", 1), "4294836225 pixels"),
    (bmp(2**31 - 1, -(2**31)), "pixels"),
    (bmp(40_000, 40_000), "1600000000 pixels"),
    (gif(65535, 65535), "4294836225 pixels"),
    (gif(1, 1, *[frame(300, 300)] * 2), "180000 pixels"),
    (JPEG[:-2] + JPEG[JPEG.rindex(b"\xff\xda") : -2] * 101 + JPEG[-2:], "no readable"),
]

TEXTS = [
    ({"data": ["not base64!"]}, "not base64"),
    ({"data": ["\u00e4"]}, "not base64"),
    ({"data": ["AAA"]}, "not base64"),
    ({"data": [3]}, "flat list of texts"),
    ({"data": [None]}, "flat list of texts"),
    ({"data": [["AAAA"]]}, "flat list of texts"),
    ({"data": [{"b64": "AAAA"}]}, "flat list of texts"),
    ({"data": "AAAA"}, "must be a list"),
    ({"data": []}, "wants 1 elements, but the data has 0"),
    ({"data": ["AAAA"] * 2}, "wants 1 elements, but the data has 2"),
    ({"shape": [1, 1]}, "image_bytes has shape [1, 1], wanted [-1]"),
    ({"shape": []}, "at least 1"),
    ({"shape": [17], "data": ["AAAA"] * 17}, "17 examples"),
    ({"datatype": "UINT8", "data": [1]}, "image_bytes UINT8 given"),
    ({"name": "image"}, "image BYTES given"),
]

PATHS = [
    ("POST", "/v2/models/nose/infer", 404),
    ("POST", "/v2/models/m/versions/2/infer", 404),
    ("POST", "/v2/models/m/versions/one/infer", 404),
    ("POST", "/v2/models/m%0A/infer", 404),
    ("POST", f"/v2/models/{'m' * 10_000}/infer", 404),
    ("POST", "/v2/models//infer", 404),
    ("POST", "/v2/models/../../etc/passwd", 404),
    ("POST", "/v1/models/m:predict", 404),
    ("POST", "/v2/repository/models/m/unload", 404),
    ("POST", "/v2/repository/index", 404),
    ("POST", "/v2/models/m/generate", 404),
    ("POST", "/v2/models/m/infer_stream", 404),
    ("GET", PATH, 405),
    ("PUT", PATH, 405),
    ("DELETE", "/v2/models/m", 405),
    ("GET", "/v2/models/nose", 404),
    ("GET", "/v2/models/nose/ready", 404),
    ("GET", "/v2/models/m/versions/9", 404),
    ("GET", "/v2/models/m/versions/9/ready", 404),
    ("GET", "/", 404),
    ("GET", "/docs", 404),
    ("GET", "/openapi.json", 404),
]


def test_there_are_200_of_them():
    assert len(JSON) + len(TENSORS) + len(FILES) + len(TEXTS) + len(PATHS) >= 200


def test_json_that_is_no_request(served):
    none((served.infer(body), reason) for body, reason in JSON)


def test_tensors_that_are_not_what_they_say(served):
    none((served.infer({"inputs": [IMAGE | change]}), reason) for change, reason in TENSORS)


def test_files_that_are_no_image_or_too_large_a_one(served):
    none((served.infer({"inputs": [file_of(content)]}), reason) for content, reason in FILES)


def test_texts_that_are_no_base64(served):
    none((served.infer({"inputs": [file_of(PNG) | change]}), reason) for change, reason in TEXTS)


def test_paths_that_lead_nowhere(served):
    answers = {path: served.get(path, b"{}" if method == "POST" else None, method=method) for method, path, _ in PATHS}
    assert {path: answer[0] for path, answer in answers.items()} == {path: status for _, path, status in PATHS}
    none((answer,) for answer in answers.values())


def test_bodies_that_are_too_long_compressed_or_badly_cut(served):
    binary = json.dumps({"inputs": [IMAGE | {"parameters": {"binary_data_size": 4}}]}).encode()
    for body, headers, status, reason in (
        (b"x" * 2**20 + b"x", {}, 413, "longer than 1048576 bytes"),
        (b"x", {"Content-Encoding": "gzip"}, 415, "compressed bodies are not taken"),
        (binary + bytes(3), {"Inference-Header-Content-Length": str(len(binary))}, 400, "binary_data_size 4"),
        (binary + bytes(5), {"Inference-Header-Content-Length": str(len(binary))}, 400, "1 bytes after the last tensor"),
        (binary, {"Inference-Header-Content-Length": "99999"}, 400, "must be a number of bytes, at most"),
        (binary, {"Inference-Header-Content-Length": "-1"}, 400, "must be a number of bytes, at most"),
        (binary, {"Inference-Header-Content-Length": "x"}, 400, "must be a number of bytes, at most"),
        (binary, {"Inference-Header-Content-Length": "9" * 5000}, 400, "must be a number of bytes, at most"),
        (b'{"inputs": 3}1', {"Inference-Header-Content-Length": "13"}, 400, "1 bytes after"),
    ):
        answer = served.infer(body, headers=headers)
        assert is_refusal(answer, reason) and answer[0] == status, answer


def sent(served, *pieces):
    """What a server that is sent these bytes answers."""
    with socket.create_connection(("127.0.0.1", served.rest), timeout=30) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(65536).decode()
        except (BrokenPipeError, ConnectionResetError):
            return "closed"


def test_a_body_without_a_length_is_cut_off_at_the_limit(served):
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunks = [b"10000\r\n" + bytes(2**16) + b"\r\n"] * 17
    answer = sent(served, head, *chunks, b"0\r\n\r\n")
    assert answer == "closed" or answer.startswith("HTTP/1.1 413")


def test_what_is_no_http_gets_a_4xx_or_nothing(served):
    for first in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n", b"\r\n" * 1000, bytes(70_000)):
        assert sent(served, first) == "" or sent(served, first).startswith(("HTTP/1.1 4", "closed"))


def test_a_client_that_leaves_in_the_middle_harms_no_one(served):
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode()
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", served.rest)) as connection:
            connection.sendall(head + b'{"inputs"')


def test_clients_that_announce_bodies_and_send_none_keep_nobody_out(served):
    """They announce 300 MB together, more than the server takes into memory at a time."""
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {2**20}\r\n\r\n".encode()
    with contextlib.ExitStack() as connections:
        for _ in range(300):
            connection = connections.enter_context(socket.create_connection(("127.0.0.1", served.rest)))
            connection.sendall(head + b"{")
        served.answers(("image", "UINT8", pictures()))


def request(model="m", raw=(), outputs=(), **tensor):
    fields = {"name": "image", "datatype": "UINT8", "shape": [1, 2, 2, 1]} | tensor
    contents = fields.pop("contents", None)
    made = messages.ModelInferRequest.InferInputTensor(**fields)
    if contents:
        made.contents.CopyFrom(messages.InferTensorContents(**contents))
    outputs = [messages.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in outputs]
    return messages.ModelInferRequest(model_name=model, inputs=[made], raw_input_contents=raw, outputs=outputs)


CALLS = [
    (request(), "wants 4 elements, but the data has 0"),
    (request(model="nose", raw=[bytes(4)]), "no model nose; served: m (version 1), table (version 1)"),
    (request(model="", raw=[bytes(4)]), "no model"),
    (request(raw=[bytes(3)]), "wants 4 bytes, but the data has 3"),
    (request(raw=[bytes(5)]), "wants 4 bytes, but the data has 5"),
    (request(raw=[bytes(4), bytes(4)]), "2 raw_input_contents for 1 inputs"),
    (request(raw=[bytes(4)], shape=[2**62, 2**62]), "wants"),
    (request(raw=[bytes(4)], shape=[-4]), "at least 1"),
    (request(raw=[bytes(4)], shape=[]), "at least 1"),
    (request(raw=[bytes(4)], shape=[4]), "image has shape [4]"),
    (request(raw=[bytes(4)], datatype="FP32", shape=[1]), "has shape [1]"),
    (request(raw=[bytes(4)], datatype="FP99"), "image has datatype FP99"),
    (request(raw=[bytes(4)], datatype=""), "image has datatype"),
    (request(raw=[bytes(4)], outputs=["nose"]), "no output nose"),
    (request(raw=[bytes(4)], name="nose"), "nose UINT8 given"),
    (request(raw=[bytes(68)], shape=[17, 2, 2, 1]), "17 examples"),
    (request(raw=[bytes(101_000)], shape=[1, 101, 1000, 1]), "101000 pixels"),
    (request(contents={"int_contents": [1, 2, 3, 4]}), "image has int_contents; UINT8 stands in uint_contents"),
    (request(contents={"uint_contents": [1, 2, 3, 256]}), "UINT8 holds 0 to 255"),
    (request(contents={"uint_contents": [1, 2, 3]}), "but the data has 3"),
    (request(datatype="FP16", contents={"fp32_contents": [1]}), "datatype FP16"),
    (request(name="image_bytes", datatype="BYTES", shape=[1], raw=[b"\1"]), "end within a length"),
    (request(name="image_bytes", datatype="BYTES", shape=[1], raw=[b"\xff\xff\xff\xff"]), "end within an element"),
    (request(name="image_bytes", datatype="BYTES", shape=[2], raw=[packed(np.array([PNG], object))]), "wants 2 elements"),
    (request(name="image_bytes", datatype="BYTES", shape=[1], raw=[packed(np.array([b"x"], object))]), "no readable"),
    (messages.ModelInferRequest(model_name="m"), "no inputs given"),
]
CLIENT_ERRORS = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.RESOURCE_EXHAUSTED


def call(served, received, method="ModelInfer"):
    """(status code, reason) of bytes over gRPC."""
    try:
        served.channel.unary_unary(f"/inference.GRPCInferenceService/{method}")(received, timeout=60)
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


def test_calls_over_grpc(served):
    answers = [(*call(served, message.SerializeToString()), reason) for message, reason in CALLS]
    assert [one for one in answers if one[0] not in CLIENT_ERRORS or one[2] not in one[1] or not is_line(one[1])] == []


def test_bytes_that_are_no_message(served):
    for method in ("ModelInfer", "ModelMetadata", "ModelReady"):
        for received in (b"\xff\xff", b"\x0a\xff", b"text", bytes(10)):
            assert call(served, received, method) == (grpc.StatusCode.INVALID_ARGUMENT, f"the bytes are no {method}Request")
    assert call(served, b"", "RepositoryModelUnload")[0] == grpc.StatusCode.UNIMPLEMENTED
    assert call(served, bytes(2**20 + 1))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
ANYTHING = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)
FIELD = st.sampled_from(["name", "shape", "datatype", "data", "parameters"])
MANY = hypothesis.settings(
    max_examples=150, deadline=None, database=None, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck)
)


def answered_or_refused(answer):
    assert answer[0] == 200 or is_refusal(answer), answer


@MANY
@hypothesis.given(field=FIELD, value=ANYTHING)
def test_any_value_in_any_field(served, field, value):
    answered_or_refused(served.infer({"inputs": [IMAGE | {field: value}]}))


@MANY
@hypothesis.given(content=ANYTHING | st.fixed_dictionaries({"inputs": ANYTHING, "outputs": ANYTHING, "parameters": ANYTHING}))
def test_any_json(served, content):
    assert is_refusal(served.infer(content))


@MANY
@hypothesis.given(shape=st.lists(st.integers(-2, 9), max_size=5), data=st.lists(st.integers(-1, 256), max_size=40))
def test_any_shape(served, shape, data):
    answered_or_refused(served.infer({"inputs": [IMAGE | {"shape": shape, "data": data}]}))


@MANY
@hypothesis.given(
    whole=st.sampled_from([PNG, JPEG]), place=st.integers(0, 2000), inserted=st.binary(max_size=9), cut=st.integers(0, 9)
)
def test_files_with_damage(served, whole, place, inserted, cut):
    place %= len(whole)
    answered_or_refused(served.infer({"inputs": [file_of(whole[:place] + inserted + whole[place + cut :])]}))


@MANY
@hypothesis.given(received=st.binary(max_size=200))
def test_any_bytes_over_grpc(served, received):
    assert call(served, received)[0] in CLIENT_ERRORS
