"""What TensorFlow Serving reads, checked with its own messages where `tensorflow-serving-api` is installed."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

import tfnn
from tests.serving.test_export import classifier, pictures
from tfnn.serving import tensorflow_serving


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
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2", reason="tensorflow-serving-api is not installed")
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
    configs = pytest.importorskip(
        "tensorflow_serving.config.model_server_config_pb2", reason="tensorflow-serving-api is missing"
    )
    text = tensorflow_serving.configuration('a "quoted" name')["models.config"]
    (config,) = text_format.Parse(text, configs.ModelServerConfig()).model_config_list.config
    assert config.name == 'a "quoted" name' and config.base_path == f"/models/{config.name}"
    assert config.model_platform == "tensorflow"


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
