"""A lock is held by one process at a time, and freed by its death."""

import pathlib
import subprocess
import sys

import pytest

from tfnn import locks
from tfnn.locks import lock

HOLD = """
import sys
sys.path.insert(0, sys.argv[2])
from locks import lock
with lock(sys.argv[1]) as held:
    print(held, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_lock_is_held_until_its_holder_is_killed(kind, tmp_path):
    path = tmp_path if kind == "folder" else tmp_path / ".lock"
    code = [sys.executable, "-c", HOLD, str(path), str(pathlib.Path(locks.__file__).parent)]
    holder = subprocess.Popen(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "True\n"
    with lock(path, wait=False) as held:
        assert held is False
    holder.kill()
    holder.wait()
    with lock(path) as held:
        assert held is True


def test_what_knows_no_locks_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with lock(tmp_path) as held:
        assert held is None


def test_what_is_absent_cannot_be_locked(tmp_path):
    with pytest.raises(FileNotFoundError), lock(tmp_path / "no" / ".lock"):
        pass
