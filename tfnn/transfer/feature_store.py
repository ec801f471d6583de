"""Keeps features in memory or in a folder."""

import os
import pathlib
import tempfile
import warnings
import zipfile

import ml_dtypes  # noqa: F401  makes np.dtype("bfloat16") known
import numpy as np

SUFFIX = ".features.npz"  # tells our files from others in the folder; reading a .npz checks a CRC-32


class Memory:
    """Features by key, at most `max_bytes` in all; the least recently used are dropped."""

    def __init__(self, max_bytes):
        self.max_bytes, self.held = max_bytes, {}  # the most recently used is last

    def get(self, key):
        if key not in self.held:
            return None
        self.held[key] = self.held.pop(key)
        return self.held[key]

    def put(self, key, features):
        self.held[key] = features
        while sum(array.nbytes for array in self.held.values()) > self.max_bytes:
            del self.held[next(iter(self.held))]


class Folder:
    """The same in files. Damaged files are ignored, and files that cannot be written are left out, each with a warning."""

    def __init__(self, path, max_bytes):
        self.path, self.max_bytes = pathlib.Path(path), max_bytes
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"directory={str(path)!r} is a file; features need a directory")

    def get(self, key):
        file = self.path / f"{key}{SUFFIX}"
        try:
            with np.load(file, allow_pickle=False) as held:
                features = held["features"].view(np.dtype(str(held["dtype"])))  # a .npz stores bfloat16 as bare bytes
            os.utime(file)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            warnings.warn(f"{file}: damaged, features are computed anew ({error})", stacklevel=2)
            return None
        return features

    def put(self, key, features):
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.path, prefix=".") as work:
                np.savez(pathlib.Path(work, f"new{SUFFIX}"), features=features, dtype=features.dtype.name)
                os.replace(pathlib.Path(work, f"new{SUFFIX}"), self.path / f"{key}{SUFFIX}")
        except OSError as error:
            warnings.warn(f"{self.path}: features cannot be kept there ({error.strerror})", stacklevel=2)
        self.make_room()

    def make_room(self):
        files = sorted(self.path.glob(f"*{SUFFIX}"), key=lambda file: file.stat().st_mtime)
        while len(files) > 1 and sum(file.stat().st_size for file in files) > self.max_bytes:
            files.pop(0).unlink(missing_ok=True)
