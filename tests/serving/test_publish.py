"""A failure, a full disk, a crash: the old version stays, and nothing else."""

import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest
import tensorflow as tf

import tfnn
from tests.serving.test_export import classifier
from tfnn.serving import Bundle, manifest, publish


def everything(folder):
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    tfnn.export(classifier(), folder := tmp_path_factory.mktemp("first") / "m")
    return folder


@pytest.fixture
def published(first, tmp_path):
    """A folder with version 1, as every failure must leave it."""
    return shutil.copytree(first, tmp_path / "m")


def test_what_is_published_is_the_version_and_configuration(first):
    assert sorted(path.name for path in first.iterdir()) == ["1", "batching.config", "models.config"]
    inside = {str(path.relative_to(first / "1")) for path in first.glob("1/**/*") if path.is_file()}
    assert inside == {*manifest.verified(first / "1")["files"], "bundle.json"}
    assert (first / "1").stat().st_mode & 0o777 == 0o777 & ~publish.umask()


def test_what_an_operator_set_stays(published):
    (published / "batching.config").write_text("max_batch_size { value: 8 }\n")
    tfnn.export(classifier(), published)
    assert (published / "batching.config").read_text() == "max_batch_size { value: 8 }\n"
    assert not list(published.glob("2/*.config"))


@pytest.mark.parametrize("place", ["write", "sync", "rename", "manifest"])
def test_a_failure_leaves_what_was_there(published, place, monkeypatch):
    def full(*arguments, **_):
        if place == "write":
            pathlib.Path(arguments[1], "half").write_text("written")
        raise OSError(28, "No space left on device")

    module, name = {
        "write": (tf.saved_model, "save"),
        "sync": (publish, "sync"),
        "rename": (publish, "rename"),
        "manifest": (manifest, "write"),
    }[place]
    monkeypatch.setattr(module, name, full)
    before = everything(published)
    with pytest.raises(OSError, match="No space"):
        tfnn.export(classifier(), published)
    assert everything(published) == before
    with pytest.raises(OSError, match="No space"):
        tfnn.export(classifier(), published.parent / "new" / "model")
    assert not (published.parent / "new").exists()


def test_a_full_disk_is_told_in_one_line_and_leaves_what_was_there(published):
    """A limit on the size of files stands for the disk's: writing beyond it fails in the midst of a file."""
    before = everything(published)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"m: cannot be written: .*File too large"):
            tfnn.export(classifier(), published)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert everything(published) == before
    assert tfnn.export(classifier(), published).name == "2"


KILLED = """
    import os, signal, sys
    import keras, tfnn
    from tests.serving.test_export import classifier
    from tfnn.serving import gates, publish

    module, name = {"checks": (gates, "check_answers"), "rename": (publish, "rename")}[sys.argv[2]]
    setattr(module, name, lambda *arguments: os.kill(os.getpid(), signal.SIGKILL))
    tfnn.export(classifier(), sys.argv[1])
"""


@pytest.mark.parametrize("place", ["checks", "rename"])
def test_a_crash_leaves_the_old_version_and_the_next_export_clears_what_it_left(published, place):
    before = everything(published)
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(published), place]
    assert subprocess.run(command, check=False, capture_output=True).returncode == -signal.SIGKILL
    (left,) = published.glob(".*")
    assert everything(published).items() >= before.items()
    assert Bundle(published).path.name == "1" and not left.name.isdecimal()
    assert tfnn.export(classifier(), published).name == "2"
    assert not list(published.glob(".*"))


def test_the_draft_of_an_export_that_lives_is_left_alone(tmp_path):
    with publish.draft(tmp_path / "m") as first, publish.draft(tmp_path / "m") as second:
        assert first.exists() and second.exists() and first != second
        (tmp_path / "m" / ".export-dead").mkdir()
        with publish.draft(tmp_path / "m"):
            assert first.exists() and second.exists() and not (tmp_path / "m" / ".export-dead").exists()
    assert not (tmp_path / "m").exists()


def test_two_exports_at_once_take_two_numbers(published, monkeypatch):
    """Both see that 1 is free; the second to rename takes 2."""
    seen = iter([1, 2])
    monkeypatch.setattr(publish, "next_version", lambda directory: next(seen))
    assert tfnn.export(classifier(), published).name == "2"


def test_every_file_and_folder_is_synced_before_the_rename(tmp_path, monkeypatch):
    order = []
    sync, rename = publish.sync, publish.rename
    monkeypatch.setattr(publish, "sync", lambda path: (order.append(os.stat(path).st_ino), sync(path)))
    monkeypatch.setattr(publish, "rename", lambda *arguments: (order.append("rename"), rename(*arguments))[1])
    path = tfnn.export(classifier(), tmp_path / "m")
    written = {os.stat(each).st_ino for each in (path, *path.rglob("*"))}
    place = order.index("rename")
    assert written <= set(order[:place]) and os.stat(path.parent).st_ino in order[place:]
