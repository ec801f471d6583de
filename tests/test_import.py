"""`import tfnn`: what it says where something is missing, and that it does no work."""

import os
import subprocess
import sys

import pytest

WITHOUT_TENSORFLOW = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "tensorflow" else find(name, *rest)
import tfnn
"""

TIMED = """
import time
import keras
began = time.perf_counter()
import tfnn
print(time.perf_counter() - began)
"""


def python(code, **environment):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment})


def test_without_tensorflow_it_says_what_to_type():
    process = python(WITHOUT_TENSORFLOW)
    assert process.stderr.splitlines()[-1].startswith("ImportError: tfnn needs TensorFlow")
    assert 'pip install "tfnn[cpu]"' in process.stderr


@pytest.mark.parametrize("backend", ["jax", "torch", "numpy"])
def test_with_another_backend_it_says_what_to_type(backend):
    last = python("import tfnn", KERAS_BACKEND=backend).stderr.splitlines()[-1]
    assert last.startswith("ImportError: tfnn runs on Keras's TensorFlow backend") and "export KERAS_BACKEND=tensorflow" in last
    assert backend in last


def test_a_backend_from_the_configuration_file_is_noticed(tmp_path):
    (tmp_path / "keras.json").write_text('{"backend": "numpy"}')
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"} | {"KERAS_HOME": str(tmp_path)}
    process = subprocess.run([sys.executable, "-c", "import tfnn"], capture_output=True, text=True, env=environment)
    assert "but numpy is configured" in process.stderr.splitlines()[-1]


def test_import_adds_little_to_that_of_keras():
    """0.02 s were measured; a search for work at import would show in seconds. The least of three, for noise."""
    assert min(float(python(TIMED).stdout) for _ in range(3)) < 0.3


def test_import_starts_no_tensorflow_runtime():
    code = "import tfnn, tensorflow as tf; tf.config.threading.set_inter_op_parallelism_threads(1)"
    assert python(code).returncode == 0
