"""ImageNet's weights through Keras's own download and cache."""

import hashlib
import os
import pathlib

import keras

from tfnn.internals.files import keras_folder


def fetched(name, url, wanted):
    """The path of a file of weights in Keras's cache, downloaded where it is not there yet.

    Keras downloads again, over the file, what does not have the hash that it knows; here such a file is left alone.

    Args:
        name: of the file in the cache.
        url: where it comes from.
        wanted: its MD5 or SHA-256, or None where Keras knows none.

    Raises:
        ValueError: for a file in the cache that is not the one that Keras knows.
        ConnectionError: where it cannot be downloaded.
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
    """Where `keras.utils.get_file` keeps weights."""
    home = keras_folder()
    return pathlib.Path(home if os.access(home, os.W_OK) else "/tmp/.keras", "models")
