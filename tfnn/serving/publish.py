"""Publishes a version whole or not at all: it is written to a hidden sibling, which servers ignore, and then renamed."""

import contextlib
import errno
import os
import pathlib
import shutil
import tempfile

from tfnn.checks import positive_integer
from tfnn.locks import lock

PREFIX = ".export-"


def check_version(directory, version):
    if version is None:
        return
    positive_integer("version", version, "a positive integer, or None for the next")
    if (directory / str(version)).exists():
        raise FileExistsError(f"{directory / str(version)} exists: leave version out for the next number, or choose another")


@contextlib.contextmanager
def draft(directory):
    """A hidden folder in `directory`, removed after the block unless it was published. Removes leftovers of killed exports."""
    made = [parent for parent in (directory, *directory.parents) if not parent.exists()]
    with contextlib.ExitStack() as stack:
        stack.callback(remove_empty, made)
        directory.mkdir(parents=True, exist_ok=True)
        clear_stale(directory)
        hidden = stack.enter_context(locked_folder(directory))
        stack.callback(shutil.rmtree, hidden, ignore_errors=True)
        yield hidden


def remove_empty(folders):
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


@contextlib.contextmanager
def locked_folder(directory):
    """A new folder that is locked while it is in use, so that other exports do not remove it."""
    while True:
        hidden = pathlib.Path(tempfile.mkdtemp(prefix=PREFIX, dir=directory))
        with lock(hidden):
            if not hidden.exists():
                continue  # before it was locked, another export removed it as stale
            hidden.chmod(0o777 & ~umask())
            yield hidden
            return


def clear_stale(directory):
    for folder in directory.glob(f"{PREFIX}*"):
        with contextlib.suppress(FileNotFoundError), lock(folder, wait=False) as held:
            if held:  # without locks, what killed exports left stays
                shutil.rmtree(folder, ignore_errors=True)


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def publish(hidden, directory, version, beside):
    """Syncs the hidden folder to disk and renames it to its version number.

    Args:
        beside: {file name: text} of files in `directory`, written only if they do not exist: an operator's edits stay.
    """
    for name, text in beside.items():
        (hidden / name).write_text(text, encoding="utf-8")
    for path in (*hidden.rglob("*"), hidden):
        sync(path)
    target = rename(hidden, directory, version)
    for name in beside:
        if (directory / name).exists():
            (target / name).unlink()
        else:
            (target / name).rename(directory / name)
    for folder in (target, directory, directory.absolute().parent):
        sync(folder)
    return target


def rename(hidden, directory, version):
    """Renames `hidden` to its number. If another export has just taken the next number, tries the one after it."""
    while True:
        target = directory / str(version or next_version(directory))
        try:
            return hidden.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or version is not None:
                raise


def next_version(directory):
    return 1 + max((int(child.name) for child in directory.iterdir() if child.name.isdecimal()), default=0)


def sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
