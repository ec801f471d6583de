"""SIGTERM, by which a machine is taken away: the run is saved first."""

import contextlib
import signal
import sys
import threading


class Terminated(BaseException):
    """SIGTERM came: the run is to be saved and the process left."""


@contextlib.contextmanager
def heeding_sigterm(wanted):
    """Gives a function that raises `Terminated` where SIGTERM came since; the signal then takes its course at the end.

    A Python signal handler cannot run inside a TensorFlow call, and may not raise between two lines of a callback. So it
    only takes note, and the run asks between its pieces.
    """
    before = signal.getsignal(signal.SIGTERM)
    here = threading.current_thread() is threading.main_thread()
    if not (wanted and here) or before in (signal.SIG_IGN, None):  # None: a handler in C, which could not be put back
        yield lambda: None
        return
    came = []

    def check():
        if came:
            raise Terminated

    signal.signal(signal.SIGTERM, lambda *_: came.append(True))
    try:
        yield check
    finally:
        signal.signal(signal.SIGTERM, before)
        if came:
            sys.stdout.flush()
            signal.raise_signal(signal.SIGTERM)
            raise SystemExit(128 + signal.SIGTERM)
