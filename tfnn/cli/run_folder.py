"""The folder of one training run, which is refused early where it cannot be made, and removed if nothing comes of the run."""

import json
import pathlib
import shutil
import tempfile

import keras
import tensorflow as tf

import tfnn
from tfnn import files

NOT_SETTINGS = "run", "words", "resume", "command"


class RunFolder:
    """Makes the folder of a run, and removes it if the block raises before `keep()` and before the first checkpoint.

    Args:
        resumed: whether the run goes on in a folder that is there.

    Raises:
        ValueError: for a folder that holds something already, or that cannot be written.
    """

    def __init__(self, path, resumed=False):
        self.path, self.resumed = pathlib.Path(path), resumed
        self.checkpoints = self.path / "checkpoints"

    def __enter__(self):
        if not self.resumed and self.path.is_dir() and any(self.path.iterdir()):
            raise ValueError(f"{self.path}: is not empty; choose another --out, so that no run is overwritten")
        check_writable(self.path)
        self.made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        self.path.mkdir(parents=True, exist_ok=True)
        self.kept = self.resumed
        return self

    def keep(self):
        """Has the folder stay from now on, whatever follows."""
        self.kept = True

    def __exit__(self, kind, error, traceback):
        if kind is None or self.kept or any(self.checkpoints.glob("update-*")):
            return
        for child in self.path.iterdir():
            shutil.rmtree(child) if child.is_dir() else child.unlink()
        for folder in self.made:
            folder.rmdir()

    def configure(self, command, options, images):
        """Writes config.json: what `--resume` and `tfnn export` need to know of the run."""
        settings = {name: value for name, value in vars(options).items() if name not in NOT_SETTINGS}
        versions = {"tfnn": tfnn.__version__, "keras": keras.__version__, "tensorflow": tf.__version__}
        self.write("config.json", {"command": command} | settings | {"images": images} | versions)

    def finished(self):
        """The result of a resumed run that has nothing left to do, or None."""
        path = self.path / "result.json"
        result = json.loads(path.read_text()) if self.resumed and path.exists() else None
        return result if result and result["bundle"] else None

    def write(self, name, content):
        """Writes JSON, whole or not at all."""
        files.write(self.path / name, (json.dumps(content, indent=1, default=str) + "\n").encode())


def check_writable(path):
    """Refuses early a folder that a long run could not write to in the end."""
    nearest = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    if not nearest.is_dir():
        raise ValueError(f"{path}: cannot be a folder, {nearest} is a file")
    try:
        tempfile.TemporaryDirectory(dir=nearest, prefix=".tfnn-").cleanup()
    except OSError as error:
        raise ValueError(f"{path}: cannot be written, {nearest}: {error.strerror}") from None
