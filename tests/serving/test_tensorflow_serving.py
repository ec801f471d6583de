"""What TensorFlow Serving reads, checked with its own messages.

`tensorflow-serving-api` requires the distribution named tensorflow, so that an extra which named it would put a second
TensorFlow over `tensorflow-tpu`. CI installs it alone: `pip install --no-deps tensorflow-serving-api`.
"""

import base64
import json
import pathlib
import re
import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2

import tfnn
from tests.serving.test_export import classifier, pictures
from tfnn.serving import tensorflow_serving

ROOT = pathlib.Path(__file__).parents[2]
MISSING = "pip install --no-deps tensorflow-serving-api"


def serving_messages(module):
    return pytest.importorskip(f"tensorflow_serving.{module}", reason=MISSING)


def records(path):
    return [record.numpy() for record in tf.data.TFRecordDataset(str(path / tensorflow_serving.WARM_UP))]


def test_a_record_is_the_bytes_that_the_messages_prescribe():
    """Field 6 of PredictionLog, 1 of PredictLog; in PredictRequest the model as 1 and an entry of the inputs as 2."""
    tensor = tf.make_tensor_proto(np.array([[1, 2]], np.uint8)).SerializeToString()

    def field(number, content):
        assert len(content) < 128
        return bytes([number << 3 | 2, len(content)]) + content

    model = field(1, b"digits") + field(3, b"raw")
    entry = field(1, b"image") + field(2, tensor)
    wanted = field(6, field(1, field(1, model) + field(2, entry)))
    assert tensorflow_serving.warm_up_record("digits", "raw", {"image": np.array([[1, 2]], np.uint8)}) == wanted


def test_requests_of_every_signature_are_those_of_serving_s_messages(tmp_path):
    logs = serving_messages("apis.prediction_log_pb2")
    path = tfnn.export(classifier(), tmp_path / "digits", embedding=True)
    loaded = tf.saved_model.load(str(path))
    requests = [logs.PredictionLog.FromString(record).predict_log.request for record in records(path)]
    assert sorted(request.model_spec.signature_name for request in requests) == sorted(loaded.signatures)
    for request in requests:
        assert request.model_spec.name == "digits"
        inputs = {name: tf.constant(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()}
        answer = loaded.signatures[request.model_spec.signature_name](**inputs)
        assert all(tensor.shape[0] == 1 for tensor in answer.values())


def test_configuration_is_that_of_serving_s_messages(tmp_path):
    configs = serving_messages("config.model_server_config_pb2")
    text = tensorflow_serving.configuration('a "quoted" name')["models.config"]
    (config,) = text_format.Parse(text, configs.ModelServerConfig()).model_config_list.config
    assert config.name == 'a "quoted" name' and config.base_path == f"/models/{config.name}"
    assert config.model_platform == "tensorflow"


def test_batching_parameters_are_those_of_serving():
    """BatchingParameters of session_bundle_config.proto, which `tensorflow-serving-api` leaves out."""
    file = descriptor_pb2.FileDescriptorProto(name="batching.proto", package="batching", syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    message = file.message_type.add(name="BatchingParameters")
    for number, name in enumerate(("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"), 1):
        message.field.add(name=name, number=number, type=11, label=1, type_name=".google.protobuf.Int64Value")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("batching.BatchingParameters"))
    found = text_format.Parse(tensorflow_serving.configuration("m")["batching.config"], kind())
    assert (found.max_batch_size.value, found.batch_timeout_micros.value, found.max_enqueued_batches.value) == (32, 2000, 100)


def as_request(predict, model, body):
    """The PredictRequest that TensorFlow Serving's REST makes of a body with `instances`: a row each, of the one input."""
    content = json.loads(body)
    loaded = tf.saved_model.load(str(model))
    function = loaded.signatures[content["signature_name"]]
    (name,) = function.structured_input_signature[1]
    rows = [base64.b64decode(row["b64"], validate=True) for row in content["instances"]]
    request = predict.PredictRequest(model_spec={"name": "digits", "signature_name": content["signature_name"]})
    request.inputs[name].CopyFrom(tf.make_tensor_proto(rows, tf.string))
    return loaded, function, predict.PredictRequest.FromString(request.SerializeToString())


def test_the_request_that_the_readme_shows_is_one_that_the_bundle_answers(digits, tmp_path):
    """Its own text, run by a shell up to the body; to the folder that its docker command mounts."""
    predict = serving_messages("apis.predict_pb2")
    readme = (ROOT / "README.md").read_text()
    (body,) = re.findall(r"curl localhost:8501/v1/models/digits:predict \\\n +-d (\".*?\")\n", readme)
    image = np.round(digits.test.x[7] * (255 / 16)).astype(np.uint8)
    (tmp_path / "seven.png").write_bytes(tf.io.encode_png(image).numpy())
    body = subprocess.run(["bash", "-c", f"echo {body}"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    _loaded, function, request = as_request(predict, ROOT / "saved_models" / "digits" / "1", body)
    answer = function(**{name: tf.constant(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()})
    assert answer["ok"].numpy().tolist() == [True] and answer["classes"][0, 0].numpy() == str(digits.test.y[7]).encode()


def test_the_folder_that_the_readme_mounts_holds_what_its_command_names():
    readme = (ROOT / "README.md").read_text()
    for file in re.findall(r"_file=/models/(\S+)", readme):
        assert (ROOT / "saved_models" / file).read_text() == tensorflow_serving.configuration("digits")[pathlib.Path(file).name]
    assert '"$PWD/saved_models:/models"' in readme and len(re.findall(r"_file=/models/", readme)) == 2


def test_the_warm_up_holds_one_request_of_each_signature_or_is_left_out(tmp_path):
    model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(2, "softmax")])
    assert len(records(tfnn.export(model, tmp_path / "m"))) == 2
    path = tfnn.export(model, tmp_path / "m", warmup=False)
    assert not (path / "assets.extra").exists()


def test_examples_given_are_what_servers_warm_up_with(tmp_path):
    mine = pictures((1, 9, 9, 3))
    path = tfnn.export(classifier(), tmp_path / "m", warmup=mine, signatures=["serving_default"])
    (record,) = records(path)
    assert mine.tobytes() in record
