"""What the server answers is what the model predicts, whichever way it is asked."""

import base64
import json
import pathlib
import re
import shutil
import subprocess
import threading
import urllib.request

import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("mlserver", reason="tfnn serve needs the extra serve")

from mlserver.grpc import dataplane_pb2 as messages

from tests.serving.server.conftest import pictures
from tests.serving.server.running import arrays
from tests.serving.server.test_pixels import WEBP
from tfnn.serving.server.tensors import packed


def encoded(images):
    return [tf.io.encode_png(image).numpy() for image in images]


def in_base64(images):
    return [base64.b64encode(image).decode() for image in encoded(images)]


def asked_in_every_way(served, images):
    """{way: {output: array}}"""
    image = {"name": "image", "datatype": "UINT8", "shape": list(images.shape)}
    binary = json.dumps({"inputs": [image | {"parameters": {"binary_data_size": images.size}}]}).encode()
    header = {"Inference-Header-Content-Length": str(len(binary)), "Content-Type": "application/octet-stream"}
    files = np.array(encoded(images), object)
    status, after_json = served.infer(binary + images.tobytes(), headers=header)
    assert status == 200, after_json
    return {
        "flat": served.answers(("image", "UINT8", images)),
        "nested": arrays(served.infer({"inputs": [image | {"data": images.tolist()}]})[1]),
        "binary": arrays(after_json),
        "base64": served.answers(("image_bytes", "BYTES", in_base64(images))),
        "typed": served.call("image", "UINT8", images.shape, uint_contents=images.ravel().tolist()),
        "raw": served.call("image", "UINT8", images.shape, raw=images.tobytes()),
        "typed files": served.call("image_bytes", "BYTES", files.shape, bytes_contents=files),
        "raw files": served.call("image_bytes", "BYTES", files.shape, raw=packed(files)),
    }


@pytest.mark.parametrize("rows", [1, 3, 16])
def test_answers_are_those_of_predict(served, model, rows):
    images = pictures((rows, 6, 5, 1), seed=rows)
    expected = model.predict(images / 255, verbose=0)
    names = np.array(["ant", "bee", "cat"])[(-expected).argsort(-1)]
    for way, answer in asked_in_every_way(served, images).items():
        np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-6, err_msg=way)
        np.testing.assert_allclose(answer["scores"], -np.sort(-expected, -1), atol=1e-6, err_msg=way)
        if "classes" in answer:
            assert answer["classes"].astype(str).tolist() == names.tolist(), way


def test_requests_of_many_sizes_at_once_each_get_their_own_answer(served):
    """They stand in shared batches where they can; answers were compared with those given alone."""
    asked = [pictures((1 + n % 3, 5 + n % 4, 7, 1 + 2 * (n % 2)), seed=n) for n in range(24)]
    ways = [lambda x: served.answers(("image", "UINT8", x)), lambda x: served.answers(("image_bytes", "BYTES", in_base64(x)))]
    alone = [ways[0](images)["probabilities"] for images in asked]
    together = {}

    def ask(n, way):
        together[n, way] = ways[way](asked[n])["probabilities"]

    threads = [threading.Thread(target=ask, args=(n, way)) for n in range(24) for way in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(together) == 48
    for (n, _), answer in together.items():
        np.testing.assert_allclose(answer, alone[n], atol=1e-6)


def test_a_webp_is_answered_as_its_pixels_are(served):
    lossless = base64.b64decode(WEBP[1])
    files = [tf.io.encode_png(tf.io.decode_image(lossless, expand_animations=False)).numpy(), lossless]
    answer = served.answers(("image_bytes", "BYTES", [base64.b64encode(file).decode() for file in files]))
    assert answer["ok"].all()
    np.testing.assert_allclose(answer["probabilities"][1], answer["probabilities"][0], atol=1e-6)


def test_an_unreadable_image_fails_alone(served, model):
    files = in_base64(pictures()[:3])
    files[1] = base64.b64encode(b"text").decode()
    answer = served.answers(("image_bytes", "BYTES", files))
    assert answer["ok"].tolist() == [True, False, True]
    np.testing.assert_allclose(answer["probabilities"][[0, 2]], model.predict(pictures()[[0, 2]] / 255, verbose=0), atol=1e-6)
    assert not answer["probabilities"][1].any() and set(answer["classes"][1]) == {""}


def test_floats_named_image_are_taken_as_preprocessed(served, model):
    images = (pictures() / 255).astype(np.float32)
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(served.answers(("image", "FP32", images))["probabilities"], expected, atol=1e-6)
    raw = served.call("image", "FP32", images.shape, raw=images.tobytes())
    assert set(raw) == {"probabilities"}
    np.testing.assert_allclose(raw["probabilities"], expected, atol=1e-6)


def test_a_table_is_asked_by_the_names_of_its_columns(served, table):
    random = np.random.RandomState(0)
    sizes, weights = random.rand(5, 3).astype(np.float32), random.rand(5, 2).astype(np.float32)
    tensors = [
        {"name": name, "datatype": "FP32", "shape": list(values.shape), "data": values.tolist()}
        for name, values in (("weights", weights), ("sizes", sizes))
    ]
    status, answer = served.infer({"inputs": tensors}, model="table")
    assert status == 200, answer
    np.testing.assert_allclose(arrays(answer)["price"], table.predict([sizes, weights], verbose=0)["price"], atol=1e-5)
    status, answer = served.infer({"inputs": tensors[:1]}, model="table")
    assert status == 400 and "weights FP32 given; wanted serving_default of sizes FP32, weights FP32" in answer["error"]
    shorter = tensors[1] | {"shape": [4, 3], "data": sizes[:4].tolist()}
    status, answer = served.infer({"inputs": [tensors[0], shorter]}, model="table")
    assert status == 400 and answer["error"] == "inputs have different numbers of examples: 4, 5"


def test_outputs_and_id_are_those_that_were_asked_for(served):
    body = {"id": "a7", "inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 1, 1, 1], "data": [9]}]}
    status, answer = served.infer(body | {"outputs": [{"name": "scores"}]})
    assert status == 200 and answer["id"] == "a7" and [output["name"] for output in answer["outputs"]] == ["scores"]
    assert answer["model_name"] == "m" and answer["model_version"] == "1"


def test_a_version_can_be_asked_for(served):
    body = json.dumps({"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 1, 1, 1], "data": [9]}]}).encode()
    assert served.get("/v2/models/m/versions/1/infer", body)[0] == 200
    assert served.get("/v2/models/m/versions/2/infer", body) == (
        404,
        {"error": "no model m of version 2; served: m (version 1), table (version 1)"},
    )


def test_a_signature_can_be_asked_for_by_name(served):
    image = {"name": "image", "datatype": "UINT8", "shape": [1, 1, 1, 1], "data": [9]}
    assert served.infer({"inputs": [image], "parameters": {"signature_name": "serving_default"}})[0] == 200
    status, answer = served.infer({"inputs": [image], "parameters": {"signature_name": "image_bytes"}})
    assert status == 400 and answer["error"] == "image UINT8 given; wanted image_bytes of image_bytes BYTES"


def test_health_and_metadata_over_rest(served):
    assert served.get("/v2/health/live")[0] == served.get("/v2/health/ready")[0] == served.get("/v2/models/m/ready")[0] == 200
    status, server = served.get("/v2")
    assert status == 200 and server["name"] == "tfnn"
    status, about = served.get("/v2/models/m")
    assert status == 200 and about["name"] == "m" and about["versions"] == ["1"]
    image = {"name": "image", "datatype": "UINT8", "shape": [-1, -1, -1, -1]}
    assert {name: about["inputs"][0][name] for name in image} == image
    outputs = {(output["name"], output["datatype"], tuple(output["shape"])) for output in about["outputs"]}
    assert outputs >= {("classes", "BYTES", (-1, 3)), ("scores", "FP32", (-1, 3)), ("probabilities", "FP32", (-1, 3))}


def test_health_and_metadata_over_grpc(served):
    assert served.stub.ServerLive(messages.ServerLiveRequest()).live
    assert served.stub.ServerReady(messages.ServerReadyRequest()).ready
    assert served.stub.ModelReady(messages.ModelReadyRequest(name="m", version="1")).ready
    assert served.stub.ServerMetadata(messages.ServerMetadataRequest()).name == "tfnn"
    about = served.stub.ModelMetadata(messages.ModelMetadataRequest(name="m"))
    assert about.platform == "tensorflow_savedmodel" and about.inputs[0].name == "image"
    assert about.inputs[0].parameters["signature_name"].string_param.startswith("serving_default")


def test_metrics_count_requests_and_examples(served):
    def metrics():
        with urllib.request.urlopen(f"http://127.0.0.1:{served.metrics}/metrics") as response:
            lines = response.read().decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}

    before = metrics()
    served.answers(("image", "UINT8", pictures()))
    grown = {name for name, value in metrics().items() if value > before.get(name, 0)}
    assert 'model_infer_request_success_total{model="m",version="1"}' in grown
    assert metrics()["tfnn_batch_size_sum"] == before["tfnn_batch_size_sum"] + 4


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_curl_as_the_readme_shows_it(served, model, tmp_path):
    """Its own two commands, for another model at another port."""
    readme = (pathlib.Path(__file__).parents[3] / "README.md").read_text()
    (commands,) = re.findall(r"^(curl localhost:8080/v2/models/digits\nprintf .*?/infer)$", readme, re.M | re.S)
    for shown, here in (("localhost:8080", f"127.0.0.1:{served.rest}"), ("models/digits", "models/m"), ("curl", "curl -sf")):
        commands = commands.replace(shown, here)
    (tmp_path / "seven.png").write_bytes(encoded(pictures())[0])
    printed = subprocess.run(["bash", "-c", commands], cwd=tmp_path, capture_output=True, check=True, text=True).stdout
    about, end = json.JSONDecoder().raw_decode(printed)
    assert about["name"] == "m"
    answer = arrays(json.loads(printed[end:]))
    np.testing.assert_allclose(answer["probabilities"], model.predict(pictures()[:1] / 255, verbose=0), atol=1e-6)


def test_the_client_of_triton_is_answered(served, model):
    """An independent client of the protocol; it sends the binary extension unless told otherwise."""
    client = pytest.importorskip("tritonclient.http")
    tensor = client.InferInput("image", [4, 6, 5, 1], "UINT8")
    tensor.set_data_from_numpy(pictures())
    with client.InferenceServerClient(f"127.0.0.1:{served.rest}") as connection:
        assert connection.is_server_ready() and connection.is_model_ready("m")
        answer = connection.infer("m", [tensor])
    np.testing.assert_allclose(answer.as_numpy("probabilities"), model.predict(pictures() / 255, verbose=0), atol=1e-6)
