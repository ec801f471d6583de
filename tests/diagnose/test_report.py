"""The report as a table, a picture, an event file and JSON."""

import dataclasses
import json
import re
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfnn
from tfnn.diagnose import Propagation, propagation
from tfnn.diagnose.table import WIDTH, shortened


@pytest.fixture(scope="module")
def report(digits):
    """Of a model with zeros, without gradient in places, of long names, with all columns."""
    h = inputs = keras.Input((8, 8, 1))
    for name in "first", "second":
        h = tfnn.layers.ResidualBlock(4, strides=2, name=f"the_{name}_block_with_a_very_long_name_of_its_own")(h)
    h = keras.layers.Dense(5, "tanh")(keras.layers.GlobalAveragePooling2D()(h))
    model = keras.Model(inputs, keras.layers.Dense(10, "softmax")(h))
    model.compile("adam", "sparse_categorical_crossentropy")
    return propagation(model, (digits.train.x[:32], digits.train.y[:32]))


def broken(report):
    layer = dataclasses.replace(report.layers[0], activation=tfnn.diagnose.Moments(np.nan, np.inf, 1), update_ratio=np.nan)
    return Propagation((layer, *report.layers[1:]), np.nan, report.learning_rate)


def test_the_table_is_aligned_and_fits_120_columns(report):
    lines = str(report).splitlines()
    table, below = lines[: 2 + len(report.layers)], lines[2 + len(report.layers) :]
    assert max(map(len, lines)) <= WIDTH == 120
    assert table[0].split() == ["activation", "gradient", "weight", "update"]
    assert table[1].split()[:6] == ["layer", "output", "mean", "variance", "mean", "variance"]
    assert table[1].split()[6:] == ["dead", "saturated", "norm", "ratio"]
    for heading in re.finditer(r"\S+", table[1].split("layer")[1]):
        end = heading.end() + len("layer")
        assert all(line.ljust(end)[end - 1] != " " and line[end : end + 2].strip() == "" for line in table[2:])
    assert below[0].startswith("loss ") and "rule of thumb" in " ".join(below)
    assert " ".join(" ".join(below).split()).endswith(report.verdict) and "verdict: " in str(report)
    assert repr(report) == str(report)


def test_columns_without_an_entry_are_left_out(report):
    bare = [dataclasses.replace(layer, saturated=None, dead=None, update_ratio=None) for layer in report.layers]
    header = str(Propagation(tuple(bare), 1.0, None)).splitlines()[1]
    assert header.split() == ["layer", "output", "mean", "variance", "mean", "variance", "norm"]


@pytest.mark.parametrize(
    "path, room, expected",
    [
        ("a/b/c", 5, "a/b/c"),
        ("model/block/conv", 12, "…/block/conv"),
        ("model/block/conv", 11, "…/conv"),
        ("a_name_without_end", 7, "…ut_end"),
    ],
)
def test_long_paths_lose_their_beginning(path, room, expected):
    assert shortened(path, room) == expected and len(expected) <= room


def test_a_model_of_long_paths_stays_readable(report):
    assert "…" in str(report) and all("conv2d" not in line or "/conv2d" in line for line in str(report).splitlines()[2:-4])


def test_an_update_of_zero_is_told(report):
    still = tuple(dataclasses.replace(layer, update_ratio=layer.update_ratio and 0.0) for layer in report.layers)
    assert "one update at learning rate 0 changes no weights" in str(Propagation(still, 1.0, 0.0))


def test_the_plot_holds_every_number_that_has_a_logarithm(report):
    figure = report.plot()
    forward, backward, update, shares = figure.axes
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "log", "log", "linear"]
    shown = forward.lines[0].get_ydata()
    assert list(shown) == [layer.activation.variance for layer in report.layers if layer.activation.variance > 0]
    (zeros,) = (line for line in forward.lines if line.get_label() == "0")
    assert [report.layers[index].activation.variance for index in zeros.get_xdata()] == [0] * 2
    assert any(line.get_ydata()[0] == 1e-3 for line in update.lines) and all(axes.get_ylabel() for axes in figure.axes)
    assert len(shares.get_xticks()) == len(report.layers)
    assert figure.get_suptitle().replace("\n", " ") == report.verdict and backward.lines


def test_the_plot_is_written_whole_or_not_at_all(report, tmp_path):
    report.plot(tmp_path / "a.png")
    broken(report).plot(str(tmp_path / "b.svg"))
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG" and "<svg" in (tmp_path / "b.svg").read_text()
    (tmp_path / "folder.png").mkdir()
    for path, error in (("a.text", ValueError), ("none", ValueError), ("no/a.png", OSError), ("folder.png", OSError)):
        with pytest.raises(error, match=f"{path}: ") as caught:
            report.plot(tmp_path / path)
        assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.svg", "folder.png"]


def test_without_matplotlib_it_says_what_to_type(report, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'needs matplotlib, which is missing. Type: pip install "tfnn\[diagnose\]"'):
        report.plot()


def events(directory):
    (file,) = directory.glob("events*")
    for event in tf.compat.v1.train.summary_iterator(str(file)):
        for value in event.summary.value:
            yield event.step, value.tag, tf.make_ndarray(value.tensor)


def test_the_log_holds_every_number(report, tmp_path):
    report.log(tmp_path / "new" / "logs", step=7)
    found = {tag: value for step, tag, value in events(tmp_path / "new" / "logs") if step == 7}
    assert found.pop("verdict").item().decode() == report.verdict
    for layer in report.layers:
        np.testing.assert_allclose(found.pop(f"activation_mean/{layer.path}"), layer.activation.mean, rtol=1e-6)
        np.testing.assert_allclose(found.pop(f"activation_variance/{layer.path}"), layer.activation.variance, rtol=1e-6)
        np.testing.assert_allclose(found.pop(f"gradient_mean/{layer.path}"), layer.gradient.mean, rtol=1e-6)
        np.testing.assert_allclose(found.pop(f"gradient_variance/{layer.path}"), layer.gradient.variance, rtol=1e-6)
        for name in "dead", "saturated", "weight_norm", "update_ratio":
            if getattr(layer, name) is not None:
                np.testing.assert_allclose(found.pop(f"{name}/{layer.path}"), getattr(layer, name), rtol=1e-6)
    assert not found


def test_a_log_that_cannot_be_made_is_one_line(report, tmp_path):
    (tmp_path / "file").write_text("")
    for path in tmp_path / "file", tmp_path / "file" / "logs":
        with pytest.raises(OSError, match="file") as error:
            report.log(path)
        assert "\n" not in str(error.value)


def test_the_dictionary_is_json(report):
    for one in report, broken(report):
        again = json.loads(json.dumps(one.to_dict(), allow_nan=False))
        assert again["verdict"] == one.verdict and len(again["layers"]) == len(report.layers)
    assert again["loss"] is again["layers"][0]["activation"]["variance"] is None
    assert again["layers"][1]["activation"]["variance"] == report.layers[1].activation.variance
    assert again["layers"][0]["shape"] == [4, 4, 4]
