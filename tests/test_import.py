"""`import tfnn`: what it says where something is missing, and that it does no work."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from tfnn.serving import gates

fresh_process = gates.fresh_process  # each test has the one that all share in its place

WITHOUT_TENSORFLOW = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "tensorflow" else find(name, *rest)
import tfnn
"""

TIMED = """
import time
began = time.process_time()
import keras
between = time.process_time()
import tfnn
print((time.process_time() - between) / (between - began))
"""


def python(code, **environment):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment})


def test_without_tensorflow_it_says_what_to_type():
    process = python(WITHOUT_TENSORFLOW)
    assert process.stderr.splitlines()[-1].startswith("ImportError: tfnn needs TensorFlow")
    assert 'pip install "tfnn[cpu]"' in process.stderr


def test_an_old_tensorflow_is_named():
    code = "import importlib.metadata as m; m.version = lambda name: '2.15.1' if name == 'tensorflow' else '1'; import tfnn"
    last = python(code).stderr.splitlines()[-1]
    assert last.startswith("ImportError: tfnn needs TensorFlow 2.20 or 2.21, found tensorflow 2.15.1")


KERAS = """
import importlib.metadata as m
found = m.version
m.version = lambda name: {version!r} if name == "keras" else found(name)
import tfnn
"""


def test_an_old_keras_is_refused():
    last = python(KERAS.format(version="3.11.3")).stderr.splitlines()[-1]
    assert last == "ImportError: tfnn needs Keras 3.12 or later, found 3.11.3. Type: pip install -U keras"


def test_a_keras_newer_than_what_was_read_is_warned_of_once():
    told = python(KERAS.format(version="3.16.0")).stderr
    assert told.count("UserWarning") == told.count("tfnn was read against Keras 3.12 to 3.15, found 3.16.0: ") == 1


@pytest.mark.parametrize("version", ("3.12.0", "3.15.9"))
def test_a_keras_that_was_read_is_not(version):
    assert "tfnn was read" not in python(KERAS.format(version=version)).stderr


def test_the_command_line_says_it_in_one_line():
    command = [sys.executable, "-m", "tfnn", "train"]
    process = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "KERAS_BACKEND": "jax"})
    assert process.returncode == 2 and process.stderr.count("\n") == 1
    assert process.stderr.startswith("tfnn: error: tfnn runs on Keras's TensorFlow backend, but jax is configured")


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
    """0.05 of its processor time were measured; work at import would show in seconds. The least of three, for noise."""
    assert min(float(python(TIMED).stdout) for _ in range(3)) < 0.1


def test_import_starts_no_tensorflow_runtime_and_passes_over_a_damaged_configuration_file(tmp_path):
    (tmp_path / "keras.json").write_text("{")
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"} | {"KERAS_HOME": str(tmp_path)}
    code = "import tfnn, tensorflow as tf; tf.config.threading.set_inter_op_parallelism_threads(1)"
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


def test_the_examples_in_the_readme_run(tmp_path, monkeypatch):
    """As they stand, one after the other, with nothing but what they import."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gates, "fresh_process", fresh_process)
    text = (pathlib.Path(__file__).parents[1] / "README.md").read_text()
    example = "\n".join(re.findall(r"```python\n(.*?)```", text, re.S))
    exec(compile(example, "README.md", "exec"), {"__name__": "__main__"})
    assert (tmp_path / "models" / "digits" / "1" / "saved_model.pb").exists()
