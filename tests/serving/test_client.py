"""A client that is not Python: the C program beside this file, built against the C API of the installed TensorFlow."""

import pathlib
import shutil
import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn

SOURCE = pathlib.Path(__file__).with_name("client.c")
LIBRARIES = "libtensorflow_cc.so.2", "libtensorflow_framework.so.2"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        pytest.skip("no C compiler here")
    folder = pathlib.Path(tf.__file__).parent
    if not all((folder / name).exists() for name in LIBRARIES):
        pytest.skip("this TensorFlow ships no C API")
    program = tmp_path_factory.mktemp("client") / "client"
    linked = [*(f"-l:{name}" for name in LIBRARIES), f"-Wl,-rpath,{folder}"]
    if shutil.which("ld.gold"):  # a library of a gigabyte takes others long
        linked.append("-fuse-ld=gold")
    command = [compiler, "-O1", "-Wall", "-Wextra", str(SOURCE), f"-I{folder / 'include'}", f"-L{folder}", *linked]
    subprocess.run([*command, "-o", str(program)], check=True, capture_output=True, text=True)
    return program


def test_a_c_program_gets_the_answers_of_keras(client, tmp_path):
    layers = keras.layers
    hidden = [layers.RandomErasing(1.0, seed=1), layers.Conv2D(4, 3, activation="relu"), layers.Dropout(0.5), layers.Flatten()]
    model = keras.Sequential([keras.Input((8, 8, 3)), *hidden, layers.Dense(3, "softmax")])
    labels = ["Ameise", "bee", "猫"]
    path = tfnn.export(model, tmp_path / "m", labels=labels, preprocess=lambda x: x / 255)
    images = np.random.RandomState(0).randint(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    files = [tmp_path / f"{index}.png" for index in range(5)]
    for file, image in zip(files, images):
        file.write_bytes(tf.io.encode_png(image).numpy())
    files[3].write_bytes(b"no image")
    process = subprocess.run([client, path, *files], capture_output=True, encoding="utf-8")
    assert process.returncode == 0, process.stderr
    lines = [line.split(" ") for line in process.stdout.splitlines()]
    expected = model.predict(images / 255, verbose=0)
    for row in 0, 1, 2, 4:
        assert lines[row][:2] == ["1", labels[expected[row].argmax()]]
        np.testing.assert_allclose([float(word) for word in lines[row][2:]], expected[row], atol=1e-6)
    assert lines[3] == ["0", "", "0", "0", "0"]
