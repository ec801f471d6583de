"""One real training that the tests of the command line share."""

import subprocess
import sys

import pytest

FAST = ["--model", "mlp", "--epochs", "3", "--warmup", "1", "--grow-batch", "1:64,2:128"]


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """In a process of its own: (its folder, what it printed)."""
    folder = tmp_path_factory.mktemp("train") / "run"
    command = [sys.executable, "-m", "tfnn", "train", *FAST, "--out", str(folder)]
    output = subprocess.run(command, check=True, capture_output=True, text=True)
    return folder, output.stdout
