"""Each gate can fail, and what fails does not appear."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tests.serving.test_export import classifier, pictures, serve
from tfnn.serving import Bundle, gates, golden, network, pipeline, signatures, verifier

fresh_process = gates.fresh_process  # each test has the one that all share in its place


def dense(units=400):
    """A model large enough for its weights to outweigh all else: 260 kB."""
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(units), keras.layers.Dense(3, "softmax")]
    return keras.Sequential([*layers[:2], keras.layers.Dense(units, "relu"), *layers[3:]])


def refused(tmp_path, message, model=None, **options):
    with pytest.raises(ValueError, match=message):
        tfnn.export(model or dense(), tmp_path / "new" / "model", **options)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("freeze", [True, False])
def test_weights_are_stored_once(tmp_path, freeze):
    model = dense()
    path = tfnn.export(model, tmp_path / "m", freeze=freeze, signatures=["raw"], embedding=True)
    parameters = 4 * model.count_params()
    graph, variables = path / "saved_model.pb", path / "variables" / "variables.data-00000-of-00001"
    assert (graph if freeze else variables).stat().st_size > parameters
    assert graph.stat().st_size + variables.stat().st_size < 1.05 * parameters + 120_000  # 100 kB of graphs
    gates.check_size(path, parameters)
    images = (pictures((4, 8, 8, 1)) / 255).astype(np.float32)
    np.testing.assert_allclose(Bundle(path).ask("raw", image=images)["probabilities"], model(images), rtol=1e-5)


def test_frozen_and_not_frozen_answer_alike(tmp_path):
    model, images, scale = dense(), pictures((4, 8, 8, 1)), lambda x: x / 255
    paths = [tfnn.export(model, tmp_path / "m", freeze=freeze, preprocess=scale) for freeze in (True, False)]
    for path in paths:
        np.testing.assert_allclose(serve(path, image=images)["probabilities"], model(images / 255), rtol=1e-5)


def test_weights_that_are_stored_twice_are_refused(tmp_path, monkeypatch):
    """Keras's exporter stores each weight twice; so does a network that is frozen for each signature anew."""
    model = dense()
    model.export(tmp_path / "keras", verbose=False)
    with pytest.raises(ValueError, match=r"stores [\d,]+ bytes of weights for [\d,]+ bytes of parameters"):
        gates.check_size(tmp_path / "keras", 4 * model.count_params())

    def anew(net, before, dtype, *rest):
        functional, specs = network.functional(model), [tf.TensorSpec([None, 8, 8, 1])]
        other = network.network(functional, functional, specs, freeze=True)
        return genuine(net, before, dtype, *rest) | {"raw": genuine(other.call, before, dtype, *rest)["raw"]}

    genuine = signatures.of_images
    monkeypatch.setattr(signatures, "of_images", anew)
    refused(tmp_path, "bytes of weights for", model)


class Switch(keras.layers.Layer):
    """Answers otherwise once it is traced, as a layer does that takes its graph for training."""

    def call(self, x):
        return x if tf.executing_eagerly() else x * 0.999


class Host(keras.layers.Layer):
    """Calls a function of this process, which a server does not have."""

    def call(self, x):
        return tf.ensure_shape(tf.numpy_function(lambda x: x, [x], x.dtype), x.shape)

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


def test_a_graph_that_answers_otherwise_than_the_model_is_refused(tmp_path):
    first = lambda layer: classifier(first=[layer])
    refused(tmp_path, r"signature serving_default, batch of \d+: .* off by .*, allowed are 1.0e-05", first(Switch()))


@pytest.mark.parametrize("freeze", [True, False])
def test_a_graph_that_calls_python_is_refused(freeze, tmp_path):
    refused(tmp_path, r"calls Python \(PyFunc", classifier(first=[Host()]), freeze=freeze)


def test_a_bundle_that_a_fresh_process_cannot_load_is_refused(tmp_path, monkeypatch):
    def cut(path):
        (path / "variables" / "variables.index").write_bytes(b"")

    monkeypatch.setattr(gates, "check_size", lambda path, _: cut(path))
    refused(tmp_path, "does not answer as the trained one does: .*Error: ", classifier(), freeze=False)


def normalized():
    """BatchNorms with statistics of their own behind convolutions; one cannot be folded."""
    convolution = lambda name: keras.layers.Conv2D(4, 3, use_bias=False, name=name)
    norm = keras.layers.BatchNormalization
    inner = [convolution("first"), norm(), keras.layers.ReLU(), norm(), convolution("second"), norm()]
    model = keras.Sequential([keras.Input((9, 9, 3)), *inner, keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])
    random = np.random.RandomState(0)
    for weight in model.weights:
        if weight.path.split("/")[-1] in ("gamma", "beta", "moving_mean", "moving_variance"):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
    return model


@pytest.mark.parametrize("embedding", ["first", True])
def test_batchnorms_are_folded_unless_told_and_not_behind_an_embedding(embedding, tmp_path):
    model, images = normalized(), pictures((4, 9, 9, 3))
    for fold, folded in (True, 1 if embedding == "first" else 2), (False, 0):
        options = {"preprocess": lambda x: x / 255, "fold_batchnorm": fold, "embedding": embedding}
        path = tfnn.export(model, tmp_path / "m", **options)
        bundle = Bundle(path)
        assert bundle.about["folded_batchnorms"] == folded
        answer = bundle.ask("serving_default", image=images)
        np.testing.assert_allclose(answer["probabilities"], model.predict(images / 255, verbose=0), rtol=1e-4)
        if embedding == "first":
            expected = model.layers[0](images / 255)
            np.testing.assert_allclose(bundle.ask("embedding", image=images)["embedding"], expected, rtol=1e-4, atol=1e-6)


def test_folding_that_goes_wrong_is_refused_with_the_way_out(tmp_path, monkeypatch):
    module = sys.modules["tfnn.serving.fold_batchnorm"]
    genuine = module.scale_and_shift
    monkeypatch.setattr(module, "scale_and_shift", lambda *moments: [1.01 * part for part in genuine(*moments)])
    refused(tmp_path, "2 BatchNorms were folded, fold_batchnorm=False leaves them", normalized(), preprocess=lambda x: x / 255)


def test_a_verifier_that_dies_refuses(tmp_path, monkeypatch):
    monkeypatch.setattr(gates, "fresh_process", fresh_process)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    refused(tmp_path, "the process that loaded it ended, with")


def test_the_verifier_can_import_neither_keras_nor_tfnn(tmp_path):
    """In a process of its own: after its block, both imports fail, while TensorFlow stands."""
    code = (
        "import runpy, sys; module = runpy.run_path(sys.argv[1]); module['prepare']('tf_saved_model')\n"
        "for name in ('keras', 'tfnn', 'keras.src.layers'):\n"
        "    try: __import__(name); print('imported', name)\n"
        "    except ImportError: pass\n"
        "import tensorflow; print(tensorflow.constant(1).numpy())"
    )
    output = subprocess.run([sys.executable, "-c", code, verifier.__file__], capture_output=True, text=True, check=True)
    assert output.stdout == "1\n"


def test_outputs_that_are_not_finite_are_refused(tmp_path):
    model = dense()
    model.layers[-1].bias.assign([np.nan, 0, 0])
    refused(tmp_path, "not finite", model)


def wanted(probabilities, labels):
    order = np.argsort(-probabilities, kind="stable")
    classes = np.array([[labels[i].encode() for i in row] for row in order], object)
    return {"classes": classes, "probabilities": probabilities}


def test_names_may_change_places_only_where_they_are_equally_probable():
    labels = ["a", "b", "c", "c"]
    right = wanted(np.array([[0.4, 0.4 - 1e-7, 0.1, 0.1]], np.float32), labels)
    difference = lambda names: verifier.difference("classes", np.array([names], object), right, labels, 1e-5)
    assert difference([b"a", b"b", b"c", b"c"]) is None
    assert difference([b"b", b"a", b"c", b"c"]) is None
    assert "are [b'a', b'c'" in difference([b"a", b"c", b"b", b"c"])
    assert "has shape (1, 2), wanted (1, 4)" in difference([b"a", b"b"])


def test_tolerance_is_relative_to_what_is_large_and_absolute_for_what_is_small():
    near = lambda answer, right: verifier.difference("y", np.array([answer], "f4"), {"y": np.array([right], "f4")}, None, 1e-5)
    assert near(0.1, 0.100009) is None and "off by" in near(0.1, 0.10002)
    assert near(1000, 1000.009) is None and "off by" in near(1000, 1000.02)
    assert "not finite" in near(np.nan, 1) and "not finite" in near(1, np.inf)


def test_golden_inputs_are_32_that_differ_and_their_batches_hold_a_damaged_image():
    images = golden.images((6, 5, 3))
    assert images.shape == (32, 8, 6, 3) and len({image.tobytes() for image in images}) == 32 and images.std() > 20
    plan = pipeline.Pipeline(classifier(), None, None, None, False, None, 5, None, None)
    cases = plan.cases(None)
    assert sorted({(case.signature, case.rows) for case in cases}) == [
        (name, rows) for name in ("image_bytes", "raw", "serving_default") for rows in (1, 3, 32)
    ]
    (case,) = [case for case in cases if case.signature == "image_bytes" and case.rows == 3]
    assert case.outputs["ok"].tolist() == [True, False, True]
    assert case.outputs["classes"][1].tolist() == [b""] * 3 and not case.outputs["probabilities"][1].any()
