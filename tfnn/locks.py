"""Locks between processes, which the kernel frees when their holder dies."""

import contextlib
import os


@contextlib.contextmanager
def lock(path, wait=True):
    """Holds the lock of a folder, or of a file, which is made where it is absent.

    Gives:
        True where it is held; False where another process has it and `wait` is false; None where nothing can be locked: on
        Windows, and on a file system without locks.
    """
    handle = os.open(path, os.O_RDONLY if os.path.isdir(path) else os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield taken(handle, wait)
    finally:
        os.close(handle)


def taken(handle, wait):
    try:
        import fcntl  # not on Windows

        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True
