"""Checkpoints on disk: whole or not at all, whoever is killed, whatever is damaged."""

import errno
import json
import os
import pathlib
import random
import subprocess
import sys
import time
import warnings

import ml_dtypes
import numpy as np
import pytest

import tfnn
from tfnn.training.resume import checkpoint
from tfnn.training.resume.checkpoint import Damaged, name_of, names, newest, prune, read, write

ARRAYS = {"w": np.arange(6, dtype="float32").reshape(2, 3), "n": np.array(7)}


def put(directory, *updates):
    for update in updates:
        path = write(directory, name_of(update), {**ARRAYS, "n": np.array(update)}, {"update": update})
    return path


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << random.randrange(8)
    path.write_bytes(content)


def hidden(directory):
    return sorted(name for name in os.listdir(directory) if name.startswith(".") and name != ".lock")


def python(code, *arguments, **options):
    """A process with the module and its locks alone, which need no TensorFlow: it starts at once."""
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(checkpoint.__file__).parent)}
    package = f"import sys, types; tfnn = sys.modules['tfnn'] = types.ModuleType('tfnn'); tfnn.__path__ = {tfnn.__path__}\n"
    return subprocess.Popen([sys.executable, "-c", package + code, *map(str, arguments)], env=environment, text=True, **options)


# What is written is read


@pytest.mark.parametrize(
    "array",
    [
        np.random.RandomState(0).normal(size=(3, 4, 5)).astype(dtype)
        for dtype in ("float16", "float32", "float64", ml_dtypes.bfloat16, "int8", "uint32", "int64", "bool", "complex64")
    ]
    + [np.array(3, "int64"), np.array(True), np.array(2.5, ml_dtypes.bfloat16), np.zeros((0, 3)), np.zeros((2, 0))]
    + [np.arange(12.0).reshape(3, 4).T, np.arange(9)[::2], np.arange(3, dtype=">f4"), np.array([np.nan, -0.0, np.inf])],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_an_array_comes_back_bit_for_bit(array, tmp_path):
    arrays, _ = read(write(tmp_path, name_of(1), {"odd": np.ones(3, bool), "a/b:0": array}, {}))
    assert arrays["a/b:0"].dtype == array.dtype.newbyteorder("=") and arrays["a/b:0"].shape == array.shape
    native = array.astype(array.dtype.newbyteorder("="))
    assert arrays["a/b:0"].tobytes() == native.tobytes()


def test_meta_comes_back(tmp_path):
    meta = {"b": None, "a": [1, 2.5, "é", {"x": True}], "high": float("inf"), "third": 1 / 3, "seed": 2**62}
    assert read(write(tmp_path, name_of(1), {}, meta)) == ({}, meta)
    _, odd = read(write(tmp_path, name_of(2), {}, {"odd": float("nan")}))
    assert np.isnan(odd["odd"])


def test_what_cannot_be_written_is_refused_before_anything_is(tmp_path):
    directory = tmp_path / "checkpoints"
    for name, arrays, message in [
        ("best", ARRAYS, "name='best' must be 'update-' and eight digits"),
        (name_of(1), {"a": np.array(["text"])}, "array 'a' must hold numbers or booleans"),
        (name_of(1), {"a": np.array([None])}, "got object"),
    ]:
        with pytest.raises(ValueError, match=message):
            write(directory, name, arrays, {})
    with pytest.raises(TypeError):
        write(directory, name_of(1), {}, {"a": object()})
    assert not directory.exists()


def test_names_sort_as_updates_do(tmp_path):
    put(tmp_path, 99, 5, 10**8, 10**8 - 1, 10**9)
    assert [checkpoint.update_of(name) for name in names(tmp_path)] == [5, 99, 10**8 - 1, 10**8, 10**9]
    assert newest(tmp_path)[2] == {"update": 10**9}


def test_a_checkpoint_of_the_same_name_is_replaced(tmp_path):
    put(tmp_path, 1)
    path = write(tmp_path, name_of(1), {"other": np.ones(2)}, {})
    assert list(read(path)[0]) == ["other"] and hidden(tmp_path) == []


# Damage


def test_every_flipped_bit_is_noticed(tmp_path):
    path = put(tmp_path, 1)
    random.seed(0)
    for file in sorted(path.iterdir()):
        intact = file.read_bytes()
        for position in range(len(intact)):
            flip(file, position)
            with pytest.raises(Damaged, match="has another checksum than when it was written"):
                read(path)
        file.write_bytes(intact)
    read(path)


@pytest.mark.parametrize("file", ["arrays.bin", "meta.json", "manifest.json"])
def test_damage_is_named(file, tmp_path):
    path = put(tmp_path, 1)
    whole = (path / file).read_bytes()
    for content in whole[:-1], whole + b" ", b"":
        (path / file).write_bytes(content)
        with pytest.raises(Damaged, match=f"{file} has .* bytes of" if "manifest" not in file else f"{file} has another"):
            read(path)
    (path / file).unlink()
    with pytest.raises(Damaged, match=f"{file} is missing"):
        read(path)
    (path / file).mkdir()
    with pytest.raises(Damaged, match=f"{file} "):
        read(path)


def test_the_newest_intact_one_is_found(tmp_path):
    put(tmp_path, 1, 2, 3, 4)
    flip(tmp_path / name_of(4) / "arrays.bin", 5)
    (tmp_path / name_of(3) / "manifest.json").unlink()
    with pytest.warns(UserWarning) as caught:
        path, arrays, meta = newest(tmp_path)
    assert (path.name, meta, int(arrays["n"])) == (name_of(2), {"update": 2}, 2)
    messages = [str(warning.message) for warning in caught]
    assert "update-00000004 is passed over" in messages[0] and "arrays.bin has another checksum" in messages[0]
    assert "update-00000003 is passed over" in messages[1] and "manifest.json is missing" in messages[1]


def test_a_file_in_place_of_a_checkpoint_is_passed_over(tmp_path):
    put(tmp_path, 1)
    (tmp_path / name_of(2)).write_text("")
    with pytest.warns(UserWarning, match="update-00000002 is passed over"):
        assert newest(tmp_path)[0].name == name_of(1)


def test_a_newer_format_is_refused_and_not_passed_over(tmp_path, monkeypatch):
    put(tmp_path, 1)
    monkeypatch.setattr(checkpoint, "FORMAT", 7)
    path = put(tmp_path, 2)
    monkeypatch.undo()
    for attempt in (lambda: read(path)), (lambda: newest(tmp_path)):
        with pytest.raises(ValueError, match="written in format 7 by a newer tfnn, and this one reads up to 1") as error:
            attempt()
        assert not isinstance(error.value, Damaged)


# Directories


def test_no_checkpoint_is_none(tmp_path):
    assert newest(tmp_path) is None and newest(tmp_path / "absent" / "deeper") is None
    (tmp_path / ".hidden").write_text("")
    assert newest(tmp_path) is None


def test_a_directory_of_other_things_is_refused_when_a_run_begins_and_not_in_its_midst(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    prune(put(tmp_path, 1, 2), 1)
    assert sorted(os.listdir(tmp_path)) == [".lock", "notes.txt", name_of(2)]
    for begin in names, newest:
        with pytest.raises(ValueError, match="holds other things than checkpoints: notes.txt"):
            begin(tmp_path)
        with pytest.raises(NotADirectoryError, match="no directory of checkpoints"):
            begin(tmp_path / "notes.txt")
    with pytest.raises(FileExistsError, match="cannot make the directory of checkpoint update-00000001 in .*notes.txt"):
        put(tmp_path / "notes.txt", 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_directory_that_may_not_be_read_is_an_error(tmp_path):
    put(tmp_path, 1)
    tmp_path.chmod(0)
    try:
        with pytest.raises(PermissionError, match="no directory of checkpoints"):
            newest(tmp_path)
    finally:
        tmp_path.chmod(0o700)


# Retention


def test_the_oldest_are_removed_and_those_to_keep_are_not(tmp_path):
    path = put(tmp_path, 1, 2, 3, 4, 5)
    prune(path, None)
    assert len(names(tmp_path)) == 5
    prune(path, 2, keep=[name_of(2), name_of(77)])
    assert names(tmp_path) == [name_of(2), name_of(4), name_of(5)]
    prune(path, 1)
    assert names(tmp_path) == [name_of(5)] and hidden(tmp_path) == []


def test_what_was_just_written_stays_though_a_damaged_one_bears_a_higher_number(tmp_path):
    put(tmp_path, 1, 2, 9)
    prune(put(tmp_path, 3), 1)
    assert names(tmp_path) == [name_of(3), name_of(9)]


# Killed writers

LOOP = """
import sys
import numpy as np
from checkpoint import name_of, prune, write
update = int(sys.argv[2])
while True:
    update += 1
    arrays = {str(i): np.full(1 << 14, update, "float32") for i in range(20)}
    path = write(sys.argv[1], name_of(update - update % 2), arrays, {"update": update})  # every other is a replacement
    prune(path, 1)
    print(update, flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_an_intact_checkpoint(tmp_path):
    """With one checkpoint kept and replaced, so that any moment without one would show."""
    random.seed(1)
    reached = 1
    for _ in range(10):
        process = python(LOOP, tmp_path, reached, stdout=subprocess.PIPE)
        done = int(process.stdout.readline())
        time.sleep(random.uniform(0, 0.08))
        process.kill()
        done = max([done, *map(int, process.stdout.read().split("\n")[:-1])])
        process.wait()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _, arrays, meta = newest(tmp_path)
        assert meta["update"] >= done
        assert all((array == meta["update"]).all() for array in arrays.values())
        assert hidden(tmp_path) == []  # the reader removed what was half-written
        reached = meta["update"]


@pytest.mark.parametrize("left", [".writing-update-00000003", ".removed-update-00000001", ".replaced-update-00000002"])
def test_left_overs_are_removed_by_the_next_writer_and_reader(left, tmp_path):
    path = put(tmp_path, 2)
    for tidying in (lambda: put(tmp_path, 4)), (lambda: newest(tmp_path)):
        (tmp_path / left).mkdir()
        (tmp_path / left / "arrays.bin").write_bytes(b"half")
        tidying()
        assert hidden(tmp_path) == []
        read(path)


def test_a_checkpoint_whose_replacement_never_came_is_put_back(tmp_path):
    path = put(tmp_path, 2)
    path.rename(tmp_path / ".replaced-update-00000002")
    assert newest(tmp_path)[0] == path


HOLD = """
import pathlib, sys
from checkpoint import LOCK, lock
with lock(pathlib.Path(sys.argv[1]) / LOCK):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_what_a_live_process_writes_is_left_alone(tmp_path):
    put(tmp_path, 1)
    process = python(HOLD, tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    (tmp_path / ".writing-update-00000002").mkdir()
    assert newest(tmp_path)[0].name == name_of(1)
    assert hidden(tmp_path) == [".writing-update-00000002"]
    process.communicate("")
    newest(tmp_path)
    assert hidden(tmp_path) == []


# Failures in the middle

LIMITED = """
import resource, sys
import numpy as np
from checkpoint import name_of, write
write(sys.argv[1], name_of(1), {"a": np.ones(10)}, {})
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
write(sys.argv[1], name_of(2), {"a": np.ones(100_000)}, {})
"""


def test_a_full_disk_is_one_clear_error_and_the_last_good_one_stays(tmp_path):
    _, error = python(LIMITED, tmp_path, stderr=subprocess.PIPE).communicate()
    last = error.strip().splitlines()[-1]
    assert last == (
        f"OSError: [Errno {errno.EFBIG}] cannot write arrays.bin of checkpoint update-00000002 in {tmp_path} (File too large);"
        " the last good checkpoint is update-00000001"
    )
    assert hidden(tmp_path) == [] and newest(tmp_path)[0].name == name_of(1)


def failing(*errors):
    """A function that raises one error after the other, each once."""
    errors = list(errors)

    def call(*arguments, **options):
        raise errors.pop(0)

    return call


@pytest.mark.parametrize("step", ["fsync", "rename"])
@pytest.mark.parametrize("replaced", [False, True])
def test_wherever_writing_fails_the_former_state_stays(step, replaced, tmp_path, monkeypatch):
    put(tmp_path, 1, 2)
    name = name_of(2 if replaced else 3)
    for error, raised in (OSError(errno.ENOSPC, "No space left on device"), OSError), (KeyboardInterrupt(), KeyboardInterrupt):
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        with monkeypatch.context() as patch:
            patch.setattr(os, step, failing(error))
            with pytest.raises(raised) as caught:
                write(tmp_path, name, {"other": np.ones(5)}, {})
        if raised is OSError:
            assert caught.value.errno == errno.ENOSPC and "the last good checkpoint is update-00000002" in str(caught.value)
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
        assert hidden(tmp_path) == []


def test_the_last_good_one_is_no_damaged_one(tmp_path, monkeypatch):
    put(tmp_path, 1, 2)
    flip(tmp_path / name_of(2) / "meta.json", 3)
    monkeypatch.setattr(os, "fsync", failing(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OSError, match="the last good checkpoint is update-00000001"):
        put(tmp_path, 3)


def test_a_first_failure_says_that_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OSError, match="there is no earlier checkpoint"):
        put(tmp_path / "new", 1)


def test_the_manifest_is_plain_json(tmp_path):
    manifest = json.loads((put(tmp_path, 1) / "manifest.json").read_text())
    assert list(manifest) == ["format", "files", "sha256"] and set(manifest["files"]) == {"arrays.bin", "meta.json"}
