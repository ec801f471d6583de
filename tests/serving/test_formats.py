"""ONNX, LiteRT and OpenVINO: the model answers in their own runtimes, or does not appear."""

import importlib.metadata
import importlib.util
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.cli.test_cli import refused
from tests.serving.test_export import classifier
from tests.serving.test_gates import Switch
from tfnn.cli import main
from tfnn.serving import formats, manifest, verifier

RUNTIMES = {"onnx": ("tf2onnx", "onnxruntime"), "litert": ("ai_edge_litert",), "openvino": ("openvino",)}
layers = keras.layers


@pytest.fixture(params=RUNTIMES)
def format(request):
    for name in RUNTIMES[request.param]:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: the extra {request.param}")
    return request.param


def ask(path, **inputs):
    """What the runtime answers, in this process."""
    format = manifest.verified(path)["format_of_model"]
    return verifier.FORMATS[format](str(path))("raw", inputs)


def draw(*shape, seed=0):
    return np.random.RandomState(seed).normal(size=shape).astype("float32")


@pytest.fixture(scope="module")
def trained(digits):
    """A small network with BatchNorm, after an epoch."""
    keras.utils.set_random_seed(0)
    model = tfnn.models.convnet((8, 8, 1), 10)
    model.compile(tfnn.optimizers.Adam(0.003), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(digits.train.x / 16, digits.train.y, batch_size=32, epochs=2, verbose=0)
    return model


def test_the_digits_are_answered_by_every_runtime_in_any_batch(format, trained, digits, tmp_path):
    path = tfnn.export(trained, tmp_path / "digits", labels="0123456789", preprocess=lambda x: x / 255, format=format)
    assert path == tmp_path / "digits" / "1" and [child.name for child in path.parent.iterdir()] == ["1"]
    about = manifest.verified(path)
    assert about["signatures"] == {
        "raw": {
            "inputs": {"image": {"dtype": "float32", "shape": [None, 8, 8, 1], "meaning": "preprocessed"}},
            "outputs": {"probabilities": {"dtype": "float32", "shape": [None, 10], "meaning": "in the order of the labels"}},
        }
    }
    assert formats.FORMATS[format].file in about["files"] and about["folded_batchnorms"] > 0
    assert about["versions"].items() >= formats.versions(format).items()
    assert (path / about["labels"]).read_text().split() == list("0123456789")
    images = (digits.test.x / 16).astype("float32")
    for rows in (1, 7, len(images)):
        found = ask(path, image=images[:rows])["probabilities"]
        np.testing.assert_allclose(found, trained(images[:rows], training=False), rtol=1e-4, atol=1e-6)
    assert np.mean(found.argmax(-1) == digits.test.y) > 0.9


def test_mobilenet_v2_is_answered_as_by_keras(format, tmp_path):
    model = keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, classes=5)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_mean.assign(draw(*layer.moving_mean.shape) / 10)
            layer.moving_variance.assign(0.5 + np.abs(draw(*layer.moving_variance.shape, seed=1)))
    path = tfnn.export(model, tmp_path / "m", preprocess=lambda x: x / 127.5 - 1, format=format)
    assert manifest.verified(path)["folded_batchnorms"] == 52
    images = draw(3, 32, 32, 3)
    np.testing.assert_allclose(ask(path, image=images)["probabilities"], model(images, training=False), rtol=1e-4)


def test_grouped_convolutions_swish_and_gelu_are_answered_as_by_keras(format, tmp_path):
    """As in ConvNeXt, a kernel that Keras has XLA compile; as in EfficientNet, an activation with a gradient of its own."""
    grouped = [layers.Conv2D(8, 3, groups=4), layers.DepthwiseConv2D(7, padding="same"), layers.Activation("silu")]
    grouped.append(layers.Dense(6, "gelu"))
    head = [layers.GlobalAveragePooling2D(), layers.Dense(3, "softmax")]
    model = keras.Sequential([keras.Input((9, 9, 4), name="image"), *grouped, *head])
    images = draw(3, 9, 9, 4)
    found = ask(tfnn.export(model, tmp_path / "m", format=format), image=images)["probabilities"]
    np.testing.assert_allclose(found, model(images), rtol=1e-4)


def test_several_inputs_and_outputs_keep_their_names(format, tmp_path):
    """The second output is the first again, and names are not in the order of their tensors."""
    wide, narrow = keras.Input((6,), name="wide"), keras.Input((4,), name="narrow")
    x = layers.Concatenate()([wide, narrow])
    y = layers.Dense(2, "softmax")(x)
    model = keras.Model([wide, narrow], {"kind": y, "again": y, "box": layers.Dense(4)(x)})
    inputs = {"wide": draw(3, 6), "narrow": draw(3, 4)}
    found = ask(tfnn.export(model, tmp_path / "m", format=format), **inputs)
    wanted = model(list(inputs.values()))
    assert found.keys() == wanted.keys()
    for name, answer in wanted.items():
        np.testing.assert_allclose(found[name], answer, rtol=1e-4, atol=1e-6)


def test_logits_become_probabilities_of_both_classes(format, tmp_path):
    model = keras.Sequential([keras.Input((4,), name="x"), layers.Dense(1)])
    path = tfnn.export(model, tmp_path / "m", labels=["no", "yes"], from_logits=True, format=format)
    yes = keras.ops.sigmoid(model(draw(5, 4)))[:, 0]
    np.testing.assert_allclose(ask(path, x=draw(5, 4))["probabilities"], np.stack([1 - yes, yes], -1), rtol=1e-5)


def test_dropout_and_augmentation_are_off(format, tmp_path):
    model = classifier(first=[tfnn.layers.RandomErasing(scale=0.5), layers.Dropout(0.5)])
    images = draw(4, 6, 5, 1)
    found = ask(tfnn.export(model, tmp_path / "m", format=format), image=images)["probabilities"]
    np.testing.assert_allclose(found, model.predict(images, verbose=0), rtol=1e-5)


def refuses(tmp_path, message, model, **options):
    with pytest.raises(ValueError, match=message):
        tfnn.export(model, tmp_path / "new" / "model", **options)
    assert not (tmp_path / "new").exists()


def test_a_graph_that_answers_otherwise_than_the_model_is_refused(format, tmp_path):
    refuses(
        tmp_path, r"signature raw, batch of \d+: .* off by .*, allowed are 1.0e-05", classifier(first=[Switch()]), format=format
    )


def converter(monkeypatch, format, convert):
    monkeypatch.setitem(formats.FORMATS, format, formats.FORMATS[format]._replace(convert=convert))


def test_a_file_that_answers_otherwise_than_the_graph_is_refused(format, tmp_path, monkeypatch):
    """A converter that writes another model: the file is asked, not the graph that it was made of."""
    other = tfnn.export(classifier(), tmp_path / "other", format=format)

    def convert(raw, saved, file):
        for written in other.glob("model.*"):
            (file.parent / written.name).write_bytes(written.read_bytes())

    converter(monkeypatch, format, convert)
    refuses(tmp_path, r"signature raw, batch of \d+: probabilities is off by", classifier(), format=format)


def test_a_file_for_batches_of_one_is_refused(format, tmp_path, monkeypatch):
    genuine = formats.FORMATS[format].convert

    def convert(raw, saved, file):
        one = tf.function(lambda image: raw(image), input_signature=[tf.TensorSpec([1, 6, 5, 1], tf.float32, "image")])
        fixed, module = one.get_concrete_function(), tf.Module()
        module.raw = raw
        tf.saved_model.save(module, str(saved / "fixed"), signatures={"raw": fixed})
        genuine(fixed, saved / "fixed", file)

    converter(monkeypatch, format, convert)
    refuses(tmp_path, "does not answer as the trained one does", classifier(), format=format)


def test_an_operation_that_the_format_has_not_is_refused(format, tmp_path):
    class Incomplete(layers.Layer):
        def call(self, x):
            return tf.math.igamma(1.0 + tf.abs(x), 2.0)

    model = keras.Sequential([keras.Input((4,)), Incomplete()])
    message = "cannot be converted to|does not answer as the trained one does"
    refuses(tmp_path, message, model, labels=(), format=format)


def test_half_precision_is_answered_within_its_roundings_or_refused(format, tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, "softmax", dtype="mixed_bfloat16")])
    try:
        path = tfnn.export(model, tmp_path / "new" / "m", format=format)
    except ValueError as error:
        assert "cannot be converted to" in str(error) or "does not answer" in str(error)
        assert not (tmp_path / "new").exists()
    else:
        found = ask(path, inputs=draw(5, 4))["probabilities"]
        np.testing.assert_allclose(found, model(draw(5, 4)), atol=2.0**-5)


def test_a_full_disk_leaves_what_was_there(format, tmp_path, monkeypatch):
    path = tfnn.export(classifier(), tmp_path / "m", format=format)
    before = sorted(tmp_path.rglob("*"))

    def full(raw, saved, file):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    converter(monkeypatch, format, full)
    with pytest.raises(OSError, match=f"^{path.parent}: cannot be written: No space left on device$"):
        tfnn.export(classifier(), path.parent, format=format)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_file_of_a_run_is_converted_and_inspected_and_not_taken_for_a_savedmodel(format, tmp_path, capsys):
    classifier().save(tmp_path / "m.keras")
    command = ["export", tmp_path / "m.keras", tmp_path / "m", "--format", format, "--scale", "1/255"]
    assert main(list(map(str, command))) == 0
    assert capsys.readouterr().out == f"exported model {tmp_path / 'm' / '1'}\n"
    assert main(["inspect", str(tmp_path / "m")]) == 0
    printed = capsys.readouterr().out
    assert f"format   {format}" in printed and "raw\n  input   image  float32 (any × 6 × 5 × 1)" in printed
    path = tmp_path / "image.png"
    path.write_bytes(tf.io.encode_png(np.zeros((6, 5, 1), np.uint8)).numpy())
    assert f"is in format {format}" in refused(capsys, "predict", tmp_path / "m", path)
    file = tmp_path / "m" / "1" / formats.FORMATS[format].file
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert f"damaged, {file.name} is not as it was written" in refused(capsys, "inspect", tmp_path / "m")


def test_a_folder_holds_versions_of_one_format(format, tmp_path):
    tfnn.export(classifier(), tmp_path / "saved")
    with pytest.raises(ValueError, match=f"holds versions in format tf_saved_model: {format} needs a folder of its own"):
        tfnn.export(classifier(), tmp_path / "saved", format=format)
    tfnn.export(classifier(), tmp_path / "m", format=format)
    assert tfnn.export(classifier(), tmp_path / "m", format=format).name == "2"
    with pytest.raises(ValueError, match=f"holds versions in format {format}: tf_saved_model needs"):
        tfnn.export(classifier(), tmp_path / "m")


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_missing_extra_is_told_in_one_line(name, tmp_path, capsys, monkeypatch):
    def missing(package):
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    classifier().save(tmp_path / "m.keras")
    told = refused(capsys, "export", tmp_path / "m.keras", tmp_path / "m", "--format", name)
    assert f'Type: pip install "tfnn[{name}]"' in told and not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"format": "torch"}, "format='torch' is none of tf_saved_model, onnx, litert, openvino"),
        ({"format": "onnx", "freeze": False}, "has the signature raw alone"),
        ({"format": "onnx", "embedding": True}, "has the signature raw alone"),
        ({"format": "onnx", "signatures": ["raw", "serving_default"]}, "has the signature raw alone"),
    ],
)
def test_what_a_format_has_not_is_refused(options, message, tmp_path):
    refuses(tmp_path, message, classifier(), **options)


def test_a_runtime_other_than_tensorflow_s_answers_without_it():
    code = "import runpy, sys; runpy.run_path(sys.argv[1])['prepare']('onnx'); import tensorflow"
    outcome = subprocess.run([sys.executable, "-c", code, verifier.__file__], capture_output=True, text=True)
    assert outcome.returncode == 1 and "tensorflow is blocked here" in outcome.stderr
