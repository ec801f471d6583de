"""`colab/quickstart.ipynb` runs as it is stored, and installs what each runtime lacks."""

import configparser
import fnmatch
import glob
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys

import nbclient
import nbformat
import pytest
from packaging.requirements import Requirement

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOK = ROOT / "colab" / "quickstart.ipynb"


@pytest.fixture
def stored():
    return nbformat.read(NOTEBOOK, nbformat.NO_CONVERT)


@pytest.fixture
def install(stored):
    """The source of the install cell."""
    return next(cell.source for cell in stored.cells if cell.id == "install")


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_notebook_is_stored_valid_and_without_outputs(stored):
    nbformat.validate(stored)
    assert (stored.nbformat, stored.nbformat_minor) == (4, 5)
    assert stored.metadata.kernelspec.name == "python3"
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code_cells(stored))


def test_the_first_cell_opens_the_notebook_in_colab(stored):
    assert stored.cells[0].cell_type == "markdown"
    assert "https://colab.research.google.com/assets/colab-badge.svg" in stored.cells[0].source
    assert f"/blob/main/{NOTEBOOK.relative_to(ROOT).as_posix()})" in stored.cells[0].source


def test_the_notebook_runs_in_one_trace_and_leaves_logs_and_a_bundle(stored, tmp_path):
    environment = {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "IPYTHONDIR": str(tmp_path / "ipython"),  # no one's start-up files
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "CUDA_VISIBLE_DEVICES": "-1",
    }
    client = nbclient.NotebookClient(stored, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}})
    client.execute(env=os.environ | environment)

    outputs = [output for cell in code_cells(stored) for output in cell.outputs]
    printed = "".join(output.text for output in outputs if output.get("name") == "stdout")
    updates, traces = map(int, re.search(r"(\d+) updates, (\d+) trace\b", printed).groups())
    assert traces == 1
    assert updates == 16 * 40 + 7 * 20 + 7 * 10  # epochs of 1,257 images in batches of 32, 64 and 128
    assert float(re.search(r"test accuracy ([\d.]+)%", printed)[1]) > 95
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 4  # digits, curves, mistakes, the PNG
    assert (tmp_path / "quickstart/digits/1/saved_model.pb").is_file()
    assert list(tmp_path.glob("quickstart/logs/train/*")) and list(tmp_path.glob("quickstart/logs/validation/*"))


@pytest.mark.parametrize(
    "tpu, tensorflow, gpu, extra",
    [
        (False, False, False, "[cpu]"),
        (False, False, True, "[gpu]"),
        (False, True, False, ""),
        (False, True, True, ""),
        (True, False, False, "[tpu]"),
        (True, False, True, "[tpu]"),
        (True, True, False, "[tpu]"),
        (True, True, True, "[tpu]"),
    ],
)
def test_the_extra_follows_the_runtime(install, tpu, tensorflow, gpu, extra):
    names = {}
    exec(install, names)  # tfnn is found here, so nothing is installed
    assert names["extra"](tpu, tensorflow, gpu) == extra


@pytest.fixture
def runtime(monkeypatch):
    """Sets what the install cell sees of its machine; gives the commands that it runs."""

    def pretend(packages=(), accelerator="", files=(), nvidia_smi=None):
        commands = []

        def run(command, **options):
            commands.append(command)
            return subprocess.CompletedProcess(command, nvidia_smi if command == "nvidia-smi" else 0)

        monkeypatch.setenv("TPU_ACCELERATOR_TYPE", accelerator)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: "found" if name in packages else None)
        monkeypatch.setattr(glob, "glob", lambda pattern: fnmatch.filter(files, pattern))
        monkeypatch.setattr(shutil, "which", lambda name: None if nvidia_smi is None else f"/usr/bin/{name}")
        monkeypatch.setattr(subprocess, "run", run)
        return commands

    return pretend


@pytest.mark.parametrize(
    "sees, extras",
    [
        pytest.param({"packages": ["tensorflow"]}, set(), id="Colab CPU"),
        pytest.param({"packages": ["tensorflow"], "nvidia_smi": 0}, set(), id="Colab GPU"),
        pytest.param(
            {"packages": ["tensorflow"], "nvidia_smi": 0, "files": ["/dev/accel0"]}, set(), id="Colab GPU with /dev/accel0"
        ),
        pytest.param({"accelerator": "v5e-1", "files": ["/dev/vfio/0", "/dev/vfio/vfio"]}, {"tpu"}, id="Colab TPU v5e-1"),
        pytest.param({"accelerator": "v6e-1"}, {"tpu"}, id="TPU known by its variable"),
        pytest.param({"files": ["/dev/vfio/0", "/dev/vfio/vfio"]}, {"tpu"}, id="TPU known by /dev/vfio/0"),
        pytest.param({"files": ["/dev/accel0"]}, {"tpu"}, id="TPU known by /dev/accel0"),
        pytest.param({"files": ["/dev/vfio/vfio"]}, {"cpu"}, id="CPU with the vfio module"),
        pytest.param({}, {"cpu"}, id="CPU"),
        pytest.param({"nvidia_smi": 9}, {"cpu"}, id="CPU with a driver but no GPU"),
        pytest.param({"nvidia_smi": 0}, {"gpu"}, id="GPU"),
    ],
)
def test_pip_gets_what_the_runtime_lacks(install, runtime, sees, extras):
    commands = runtime(**sees)
    exec(install, {})
    *pip, source = commands[-1]
    assert pip == [sys.executable, "-m", "pip", "install", "--quiet"]
    requirement = Requirement(source)
    assert (requirement.name, requirement.url) == ("tfnn", "git+https://github.com/tfnn/tfnn")
    assert requirement.extras == extras <= known_extras()


def known_extras():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return set(setup["options.extras_require"])


def test_nothing_is_run_where_tfnn_is_found(install, runtime):
    commands = runtime(packages=["tfnn"], nvidia_smi=0)
    exec(install, {})
    assert commands == []
