"""One real training that the tests of the command line share."""

import contextlib
import io

import pytest

from tfnn.cli import main

FAST = ["--model", "mlp", "--epochs", "3", "--warmup", "1", "--grow-batch", "1:64,2:128"]


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """(its folder, what it printed)"""
    folder = tmp_path_factory.mktemp("train") / "run"
    with contextlib.redirect_stdout(io.StringIO()) as output:
        assert main(["train", *FAST, "--out", str(folder)]) == 0
    return folder, output.getvalue()
