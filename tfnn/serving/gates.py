"""Checks that a bundle must pass before it is published."""

import contextlib
import json
import os
import pathlib
import pickle
import subprocess
import sys

import tensorflow as tf

from tfnn.internals.layers import layers_of
from tfnn.serving import graphs

SPARE = 16 * 1024  # bytes for constants that are not weights: shapes, indices, the luma weights
# The allowed relative error by the lowest precision that layers compute in. It is 1e-5 in float32, and some units in the
# last place in the others, whose rounding changes when TensorFlow fuses operations.
TOLERANCE = {"bfloat16": 2.0**-5, "float16": 2.0**-8}


def check_operations(path):
    """Refuses a bundle whose graph draws random numbers or calls Python."""
    graph = graphs.stored(path)
    graphs.check_random_operations(graph)
    graphs.check_python(graph)


def check_size(path, parameters):
    """Refuses a bundle that stores more than the weights, for example one that stores them twice.

    Args:
        parameters: bytes of all variables and constants in the model and its preprocessing.
    """
    reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    numbers = [name for name, dtype in dtypes.items() if dtype != tf.string]
    variables = sum(tf.TensorShape(shapes[name]).num_elements() * dtypes[name].size for name in numbers)
    stored = variables + graphs.constant_bytes(graphs.stored(path))
    if stored > 1.05 * parameters + SPARE:
        raise ValueError(f"the bundle stores {stored:,} bytes of weights for {parameters:,} bytes of parameters")
    return stored


def tolerance(model):
    precisions = {layer.compute_dtype for layer in layers_of(model, include_self=True)}
    return max([1e-5, *(TOLERANCE[precision] for precision in precisions & TOLERANCE.keys())])


@contextlib.contextmanager
def fresh_process(format):
    """Starts a verifier that waits for a bundle. It starts early, because TensorFlow takes seconds to load."""
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("TF_CONFIG", None)  # the verifier is not a worker of the cluster
    process = subprocess.Popen(
        [sys.executable, "-P", str(pathlib.Path(__file__).with_name("verifier.py")), format],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def check_answers(process, path, cases, pipeline, folded, work):
    """Refuses a bundle that a fresh process cannot load, or whose answers differ from the training pipeline's."""
    golden = pathlib.Path(work, "golden.pickle")
    golden.write_bytes(pickle.dumps(([tuple(case) for case in cases], pipeline.labels)))
    question = {"bundle": str(path), "golden": str(golden), "tolerance": tolerance(pipeline.model)}
    try:
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
        found = json.loads(process.stdout.readline())
    except (OSError, ValueError):
        found = f"the process that loaded it ended, with {process.wait()}"
    if found is not None:
        hint = f"; {folded} BatchNorms were folded, fold_batchnorm=False leaves them" if folded else ""
        raise ValueError(f"the exported model does not answer as the trained one does: {found}{hint}")
