"""A file is replaced as a whole, or stays as it was."""

import pathlib

import pytest

from tfnn.files import write


def test_a_file_is_made_and_replaced(tmp_path):
    for content in b"one", b"two":
        write(tmp_path / "a.json", content)
        assert (tmp_path / "a.json").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("fails", ["write_bytes", "replace"])
def test_what_fails_leaves_the_former_file_alone(fails, tmp_path, monkeypatch):
    write(tmp_path / "a.json", b"one")

    def full(self, *_):
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pathlib.Path, fails, full)
    with pytest.raises(OSError, match=f"^{tmp_path / 'a.json'}: cannot be written: No space left on device$"):
        write(tmp_path / "a.json", b"two")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"] and (tmp_path / "a.json").read_bytes() == b"one"


def test_a_folder_that_is_absent_is_told(tmp_path):
    with pytest.raises(OSError, match="a.json: cannot be written: No such file or directory"):
        write(tmp_path / "no" / "a.json", b"one")
