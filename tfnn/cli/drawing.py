"""Refuses before a long computation what could not be drawn after it."""

import pathlib

from tfnn.diagnose.plot import check_kind, new_figure


def check_drawable(path):
    try:
        check_kind(pathlib.Path(path), new_figure(1, 1))
    except ImportError as error:  # matplotlib is missing, which the user can mend
        raise ValueError(str(error)) from None
