"""Where Keras keeps what it downloads, and what it calls layers in its files."""

import os

from tfnn.internals.lookup import imported


def keras_folder():
    """Keras's own folder, in which it keeps downloads. Keras 3.12 to 3.15; else raises."""
    return os.path.expanduser(imported("keras.src.backend.config", "keras_home")())


def name_in_files(kind):
    """What a class of layers is called in a `.weights.h5` file. Keras 3.12 to 3.15; else raises."""
    return imported("keras.src.utils.naming", "to_snake_case")(kind.__name__)
