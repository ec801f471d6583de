"""`tfnn backbones` as a user meets it."""

import time

import pytest

import tfnn
from tests.cli.test_cli import refused
from tfnn.cli import main


def printed(capsys, *arguments):
    capsys.readouterr()
    assert main(["backbones", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_the_table_has_a_line_for_each_network_at_once(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tfnn.cli.backbones.cache", lambda: tmp_path)
    (tmp_path / tfnn.transfer.backbone("VGG16").files[224][0]).touch()
    began = time.perf_counter()
    heading, *lines = printed(capsys)
    assert time.perf_counter() - began < 1, "nothing is built"
    assert [line.split()[0] for line in lines] == list(tfnn.transfer.backbones())
    assert max(map(len, lines)) <= 120
    assert heading.split() == [
        "name", "parameters", "size", "smallest", "features", "stages", "preprocessing", "memory", "imagenet",
    ]  # fmt: skip
    (mobile,) = (line.split() for line in lines if line.startswith("MobileNetV2 "))
    stages = ["C1", "C2", "C3", "C4", "C5"]
    assert mobile == ["MobileNetV2", "2,257,984", "224", "32", "1280", *stages, "tf", "96", "MB", "download"]
    assert [line.split()[0] for line in lines if line.endswith("cached")] == ["VGG16"]


@pytest.mark.parametrize("name", tfnn.transfer.backbones())
def test_the_details_of_each(name, capsys):
    text = "\n".join(printed(capsys, name))
    one = tfnn.transfer.backbone(name)
    for stage, parameters in one.stages.items():
        assert f"stage {stage}" in text and f"{parameters:,} parameters" in text
    for file, url, _ in one.files.values():
        assert file in text and url in text
    assert one.preprocessing in text and f"{one.features}, of the layer {one.feature_layer}" in text


def test_an_unknown_network_is_one_line(capsys):
    assert "no backbone 'MobilNet' in keras.applications; near are MobileNet" in refused(capsys, "backbones", "MobilNet")
