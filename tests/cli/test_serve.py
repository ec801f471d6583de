"""`tfnn serve`: what it says where it cannot begin."""

import importlib.metadata
import sys

import pytest

from tests.cli.test_cli import refused
from tfnn.cli import main


@pytest.mark.parametrize("found, told", [(None, "which is missing"), ("1.3.5", "found 1.3.5")])
def test_without_mlserver_it_says_what_to_type(monkeypatch, capsys, found, told):
    def version(name):
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(sys, "version_info", (3, 12, 0))
    assert refused(capsys, "serve", ".").endswith(
        f'tfnn serve needs MLServer 1.7.1 or newer, {told}. Type: pip install "tfnn[serve]"\n'
    )
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    assert "does not run on Python 3.13: use Python 3.11 or 3.12, or serve the same directory" in refused(capsys, "serve", ".")


@pytest.mark.parametrize("found", ["1.7.1", "1.7.1.post1", "1.10.0", "1.8.0rc1", "2.0"])
def test_a_newer_mlserver_will_do(found, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: found)
    monkeypatch.setitem(sys.modules, "tfnn.serving.server.run", None)
    with pytest.raises(ImportError):  # it goes on to the server
        main(["serve", str(tmp_path)])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--http-port", "70000"], "--http-port 70000 must be from 0 to 65535"),
        (["--batch-size", "0"], "--batch-size 0 must be positive"),
        (["--max-body", "-1"], "--max-body -1.0 must be positive"),
        (["--max-pixels", "0"], "--max-pixels 0 must be positive"),
        (["--poll", "nan"], "--poll nan must be positive"),
        (["--batch-delay", "-1"], "--batch-delay -1.0 must be 0 or positive"),
    ],
)
def test_options_that_make_no_sense(capsys, arguments, message):
    assert message in refused(capsys, "serve", ".", *arguments)


def test_a_folder_without_bundles(capsys, tmp_path):
    pytest.importorskip("mlserver", reason="tfnn serve needs the extra serve")
    assert "nowhere: no such folder" in refused(capsys, "serve", tmp_path / "nowhere")
    assert "no bundle here; wanted NAME/VERSION/saved_model.pb below it" in refused(capsys, "serve", tmp_path)
