"""Writes the exported model in the formats of ONNX, LiteRT and OpenVINO, each with its own converter.

The signature `raw` is converted: numbers in and out, for any batch size. Keras's `model.export(format=...)` knows the same
formats, but converts the model with its random layers switched on, and does not check the result.
"""

import importlib.metadata
import logging
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfnn.internals.tensorflow import forget_marks, frozen
from tfnn.serving import graphs

SAVED_MODEL = "tf_saved_model"


class Format(NamedTuple):
    """One of the formats.

    Attributes:
        file: the name of the file that holds the model.
        packages: those that convert and run it.
        convert: a function of (signature `raw`, path of its SavedModel, file to write).
    """

    file: str
    packages: tuple
    convert: Callable | None


def to_onnx(raw, saved, file):
    import tf2onnx

    constant = frozen(raw)
    inputs = {tensor.name: spec.name for tensor, spec in zip(constant.inputs, raw.structured_input_signature[0])}
    outputs = {tensor.name: name for tensor, name in zip(constant.outputs, sorted(raw.structured_outputs))}
    tf2onnx.convert.from_graph_def(
        to_inline(constant.graph.as_graph_def()),
        input_names=list(inputs),
        output_names=list(outputs),
        tensors_to_rename=inputs | outputs,
        custom_op_handlers={"Erfc": (erfc, [])},
        output_path=str(file),
    )


def erfc(graph, node, name, _):
    """Converts erfc(x) = 1 − erf(x), which Keras's gelu uses; tf2onnx knows only erf."""
    shapes, dtypes = node.output_shapes, node.output_dtypes
    one = graph.make_const(f"{name}/one", np.ones((), np.float32)).output[0]
    erf = graph.make_node("Erf", node.input, shapes=shapes, dtypes=dtypes).output[0]
    graph.remove_node(node.name)
    graph.make_node("Sub", [one, erf], name=name, outputs=node.output, shapes=shapes, dtypes=dtypes)


def to_inline(graph):
    """Makes tf2onnx inline all calls of functions, because ONNX has none.

    By default it would leave calls of functions that Keras has XLA compile, such as grouped convolutions, and calls of
    functions that could have state.
    """
    for part in (*graphs.nodes(graph), *graph.library.function):
        forget_marks(part)
    for node in graphs.nodes(graph):
        node.op = node.op.replace("StatefulPartitionedCall", "PartitionedCall")
    return graph


def to_openvino(raw, saved, file):
    import openvino

    # `convert_model` does the same, but reports its use to its makers by default.
    model = openvino.Core().read_model(str(saved))
    openvino.save_model(model, str(file), compress_to_fp16=False)


def to_litert(raw, saved, file):
    file.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(saved), signature_keys=["raw"]).convert())


FORMATS = {
    SAVED_MODEL: Format("saved_model.pb", (), None),
    "onnx": Format("model.onnx", ("tf2onnx", "onnxruntime"), to_onnx),
    "litert": Format("model.tflite", ("ai-edge-litert",), to_litert),
    "openvino": Format("model.xml", ("openvino",), to_openvino),
}


def check(format, directory, signatures, embedding, freeze):
    """Refuses options that a format lacks, and folders with versions in another format: model servers take one per folder."""
    if format not in FORMATS:
        raise ValueError(f"format={format!r} is none of {', '.join(FORMATS)}")
    for name, other in FORMATS.items():
        for found in directory.glob(f"*/{other.file}"):
            if name != format and found.parent.name.isdecimal():
                raise ValueError(f"{directory} holds versions in format {name}: {format} needs a folder of its own")
    if format == SAVED_MODEL:
        return
    if embedding is not None or not freeze or signatures not in (None, ["raw"], ("raw",)):
        raise ValueError(
            f"format={format!r} has the signature raw alone, frozen: leave out signatures, embedding and freeze=False"
        )
    versions(format)


def versions(format):
    """{package: version} of the packages that convert to a format and run it."""
    packages = FORMATS[format].packages
    try:
        return {name: importlib.metadata.version(name) for name in packages}
    except importlib.metadata.PackageNotFoundError:
        raise ValueError(f'format {format} needs {" and ".join(packages)}. Type: pip install "tfnn[{format}]"') from None


def convert(format, raw, saved, folder):
    """Writes the signature `raw` of a SavedModel into the folder.

    Raises:
        ValueError: if the format lacks an operation of the model.
    """
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)  # converters report every step, and errors that they then fix
    try:
        FORMATS[format].convert(raw, saved, folder / FORMATS[format].file)
    except OSError as error:  # such as a full disk; the error does not name the file
        raise OSError(f"{folder.parent}: cannot be written: {error.strerror or error}") from None
    except Exception as error:  # converters raise many kinds of errors
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(f"the model cannot be converted to {format}: {lines[0]}") from None
    finally:
        logging.disable(level)
