"""The files that a command reads before it trains: data, the names of classes, and models."""

import pathlib
import re
import textwrap
import warnings

import keras

from tfnn.data import load

IN_MEMORY = 2**31  # bytes of pixels; images that are more stay in their files


def read_data(options, **of_files):
    """The data of `--data`."""
    try:
        return load(options.data, skip_bad_images=options.skip_bad_images, stream=IN_MEMORY, **of_files)
    except ValueError as error:
        raise ValueError(str(error).replace("skip_bad_images=True", "--skip-bad-images")) from None


def check_channels(options, data):
    if data.image_shape[-1] not in (1, 3):
        raise ValueError(f"--data {options.data}: images have {data.image_shape[-1]} channels; wanted are 1 (grey) or 3 (RGB)")


def read_labels(path):
    """The names of classes in the file of `--labels`; an empty tuple for "none", and None where the option is not given."""
    if path is None or path == "none":
        return None if path is None else ()
    try:
        return pathlib.Path(path).read_text(encoding="utf-8-sig").rstrip().splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"--labels {path}: is not a text file in UTF-8") from None


def read_model(path, wanted="a .keras file", compile=False):
    """The Keras model in a file.

    Args:
        wanted: what the message about a missing file asks for.
        compile: whether the model comes with its loss, metrics and optimizer.
    """
    if not pathlib.Path(path).is_file():
        raise ValueError(f"{path}: no such file; wanted is {wanted}")
    try:
        with warnings.catch_warnings():  # an optimizer that has not trained yet has nothing to load
            warnings.filterwarnings("ignore", "Skipping variable loading .* the saved optimizer has [12] variables")
            return keras.saving.load_model(path, compile=compile)
    except Exception as error:  # a damaged file or a class that is not registered gives errors of many kinds
        raise ValueError(f"{path}: cannot be loaded ({essence(error)})") from None


def essence(error):
    """The line of an error that says what is wrong. Keras prints it in bold type, between other lines."""
    bold = re.search("\x1b\\[1m(.+?)\x1b\\[0m", str(error), re.DOTALL)
    text = (bold.group(1) if bold else str(error)).strip() or type(error).__name__
    return textwrap.shorten(text.splitlines()[0], 250, placeholder=" ...")
