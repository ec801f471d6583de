"""Gets ImageNet's weights through Keras's own download and cache."""

import hashlib
import os
import pathlib

import keras

from tfnn.internals.files import keras_folder


def fetched(name, url, wanted):
    """The path of a file of weights in Keras's cache; it is downloaded if it is not there yet.

    Keras would overwrite a cached file whose hash is wrong with a new download; here such a file is left alone.

    Args:
        name: the file's name in the cache.
        url: where to download it.
        wanted: its MD5 or SHA-256, or None if Keras knows no hash.

    Raises:
        ValueError: if the file in the cache has another hash.
        ConnectionError: if it cannot be downloaded.
    """
    path = cache() / name
    algorithm = "md5" if wanted and len(wanted) == 32 else "sha256"
    if wanted and path.exists():
        with path.open("rb") as file:
            found = hashlib.file_digest(file, algorithm).hexdigest()
        if found != wanted:
            raise ValueError(f"{path}: cut short or not Keras's: its {algorithm} is {found}, not {wanted}; replace it by {url}")
    try:
        return keras.utils.get_file(name, url, cache_subdir="models", file_hash=wanted)
    except Exception as error:  # Keras raises a bare Exception for a failed download
        reason = " ".join(str(error).split()).removeprefix(f"URL fetch failure on {url}: ").removeprefix("None -- ")
        raise ConnectionError(f"cannot download {url} ({reason}); put that file at {path}") from None


def cache():
    """The folder in which `keras.utils.get_file` keeps weights."""
    home = keras_folder()
    return pathlib.Path(home if os.access(home, os.W_OK) else "/tmp/.keras", "models")
