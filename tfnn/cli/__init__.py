"""The command line: `tfnn` and `python -m tfnn`."""

from tfnn.cli.main import main
