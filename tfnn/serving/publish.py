"""A version appears whole or not at all: written to a hidden sibling, which servers pass over, then renamed."""

import contextlib
import errno
import os
import pathlib
import shutil
import tempfile

try:
    import fcntl
except ImportError:  # Windows: without locks, what killed exports left stays
    fcntl = None  # type: ignore[assignment]

PREFIX = ".export-"


def check_version(directory, version):
    if version is not None and not (isinstance(version, int) and not isinstance(version, bool) and version >= 1):
        raise ValueError(f"version={version!r} must be a positive integer, or None for the next")
    if version is not None and (directory / str(version)).exists():
        raise FileExistsError(f"{directory / str(version)} exists: leave version out for the next number, or choose another")


@contextlib.contextmanager
def draft(directory):
    """A hidden folder in `directory`, gone after the block unless it was published; so are those that killed exports left."""
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
    """A new folder, locked while this process lives, so that another export knows that it is in use."""
    while True:
        hidden = pathlib.Path(tempfile.mkdtemp(prefix=PREFIX, dir=directory))
        with lock(hidden, wait=True):
            if not hidden.exists():
                continue  # another export took it for a stale one before it was locked
            hidden.chmod(0o777 & ~umask())
            yield hidden
            return


@contextlib.contextmanager
def lock(folder, wait):
    """Holds the lock of a folder. Gives whether it is held: not, where another process has it, or nothing can be locked."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        held = True
    except (OSError, AttributeError):
        held = False
    try:
        yield held
    finally:
        os.close(descriptor)


def clear_stale(directory):
    for folder in directory.glob(f"{PREFIX}*"):
        with contextlib.suppress(FileNotFoundError), lock(folder, wait=False) as held:
            if held:
                shutil.rmtree(folder, ignore_errors=True)


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def publish(hidden, directory, version, beside):
    """Syncs what was written to disk and gives it its number.

    Args:
        beside: {file: text} for files of the directory, written where there are none: what an operator set stays.
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
    """Gives `hidden` its number; where another export took the next one meanwhile, the one after it."""
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
