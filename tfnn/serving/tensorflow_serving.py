"""The files that TensorFlow Serving reads beside a SavedModel: warm-up requests and configuration.

The few message fields that are written are declared here: `tensorflow-serving-api` would install the distribution named
tensorflow, which breaks any other build of TensorFlow. Names and numbers are those of prediction_log.proto, predict.proto
and model.proto. On the wire a nested message looks like bytes, so tensors are declared as bytes.
"""

import functools

import numpy as np
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

WARM_UP = "assets.extra/tf_serving_warmup_requests"
FIELD = descriptor_pb2.FieldDescriptorProto
MESSAGES = {  # message: {field: (number, type)}
    "ModelSpec": {"name": (1, str), "signature_name": (3, str)},
    "Input": {"key": (1, str), "value": (2, bytes)},  # an entry of map<string, TensorProto>
    "PredictRequest": {"model_spec": (1, "ModelSpec"), "inputs": (2, ["Input"])},
    "PredictLog": {"request": (1, "PredictRequest")},
    "PredictionLog": {"predict_log": (6, "PredictLog")},
}


@functools.cache
def messages():
    """The classes of MESSAGES, in a pool of their own, so that they do not clash with `tensorflow-serving-api`."""
    file = descriptor_pb2.FileDescriptorProto(name="warmup.proto", package="warmup", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            label = FIELD.LABEL_REPEATED if isinstance(kind, list) else FIELD.LABEL_OPTIONAL
            (kind,) = kind if isinstance(kind, list) else (kind,)
            if isinstance(kind, str):
                message.field.add(name=field, number=number, label=label, type=FIELD.TYPE_MESSAGE, type_name=f".warmup.{kind}")
            else:
                message.field.add(name=field, number=number, label=label, type=SCALARS[kind])
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"warmup.{name}")) for name in MESSAGES}


SCALARS = {str: FIELD.TYPE_STRING, bytes: FIELD.TYPE_BYTES}


def warm_up_record(model, signature, inputs):
    """A serialized PredictionLog of one request with {input: array}."""
    made = messages()
    tensors = {name: tf.make_tensor_proto(np.asarray(array)) for name, array in inputs.items()}
    request = made["PredictRequest"](
        model_spec=made["ModelSpec"](name=model, signature_name=signature),
        inputs=[made["Input"](key=name, value=tensor.SerializeToString()) for name, tensor in tensors.items()],
    )
    return made["PredictionLog"](predict_log=made["PredictLog"](request=request)).SerializeToString()


def write_warm_up(folder, model, cases):
    """Writes the inputs of `golden.Case`s as requests, which a server answers before it takes others."""
    path = folder / WARM_UP
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for case in cases:
            writer.write(warm_up_record(model, case.signature, case.inputs))


def configuration(model):
    """{file: text} for `--model_config_file` and `--batching_parameters_file`; the server finds the folder in /models."""
    name = model.replace("\\", "\\\\").replace('"', '\\"')
    return {
        "models.config": (
            "model_config_list {\n"
            f'  config {{\n    name: "{name}"\n    base_path: "/models/{name}"\n    model_platform: "tensorflow"\n  }}\n'
            "}\n"
        ),
        "batching.config": (
            "# Images of different sizes cannot share a batch: send image_bytes, or images of one size.\n"
            "max_batch_size { value: 32 }\n"
            "batch_timeout_micros { value: 2000 }\n"
            "max_enqueued_batches { value: 100 }\n"
        ),
    }
