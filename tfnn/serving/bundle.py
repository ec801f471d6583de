"""An exported model, loaded to answer."""

import pathlib

import tensorflow as tf


class Bundle:
    """A version of an exported model, or the newest of those in a folder.

    Args:
        path: `NAME/VERSION/`, or `NAME/`.

    Raises:
        FileNotFoundError: where no SavedModel is there.
        ValueError: for a SavedModel that cannot be loaded or is not one of `tfnn.export`.
    """

    def __init__(self, path):
        self.path = newest(pathlib.Path(path))
        try:
            self.loaded = tf.saved_model.load(str(self.path))
        except Exception as error:  # TensorFlow reports damaged files by errors of many kinds
            raise ValueError(f"{self.path}: this SavedModel cannot be loaded ({str(error).splitlines()[0]})") from None
        if "image_bytes" not in self.loaded.signatures:
            found = ", ".join(self.loaded.signatures) or "none"
            raise ValueError(f"{self.path}: no signature image_bytes, as tfnn.export writes it; found: {found}")

    def classify(self, encoded):
        """[(class name, probability)] of one encoded image, the most probable first.

        Raises:
            ValueError: for bytes that are no readable image.
        """
        try:
            answer = self.loaded.signatures["image_bytes"](image_bytes=tf.constant([encoded]))
        except tf.errors.InvalidArgumentError:
            raise ValueError("not a readable PNG, JPEG, GIF or BMP image") from None
        names = (name.decode() for name in answer["classes"][0].numpy())
        return list(zip(names, answer["scores"][0].numpy().tolist()))


def newest(path):
    if (path / "saved_model.pb").is_file():
        return path
    versions = [child for child in path.glob("*") if child.name.isdecimal() and (child / "saved_model.pb").is_file()]
    if not versions:
        raise FileNotFoundError(f"{path}: no SavedModel here, nor in numbered folders below")
    return max(versions, key=lambda child: int(child.name))
