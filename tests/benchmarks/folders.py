"""Reading a folder of 1,000 photographs' worth of files (digits at 160×160, half PNG, half JPEG), pass after pass.

`ImageFiles` as `tfnn.fit` reads them, against a plain loop that decodes one file after the other with TensorFlow's functions,
and against `keras.utils.image_dataset_from_directory`. All give shuffled batches of 32. The peers neither turn photographs as
their Exif data tell nor lay alpha over white.
"""

import pathlib
import tempfile

import keras
import numpy as np
import tensorflow as tf

import tfnn
from tests.benchmarks.timing import compare
from tfnn.training.source.file_stream import FileStream

COUNT, SIDE, BATCH = 1000, 160, 32


def write(folder):
    part = tfnn.data.digits().train
    for index, (image, label) in enumerate(zip(part.x[:COUNT], part.y[:COUNT])):
        pixels = tf.image.resize(image * np.float32(255 / 16), (SIDE, SIDE), "bicubic").numpy().clip(0, 255).repeat(3, -1)
        encode, suffix = (tf.io.encode_jpeg, "jpg") if index % 2 else (tf.io.encode_png, "png")
        path = folder / str(label) / f"{index}.{suffix}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode(pixels.astype(np.uint8)).numpy())


def rows():
    with tempfile.TemporaryDirectory() as folder:
        write(pathlib.Path(folder))
        for size in SIDE, 96:
            yield from compare(
                f"{COUNT} files, to {size}×{size}", ours(folder, size), peers(folder, size), "µs/image", 1e6 / COUNT, 3
            )


def ours(folder, size):
    parts = [getattr(tfnn.data.folder(folder, (size, size), stream=True), part) for part in ("train", "validation", "test")]
    sources = [FileStream((part.x, tf.constant(part.y), None), BATCH, shuffle=True) for part in parts]

    def run():
        for source in sources:
            source.seek(0)
            for _ in source.iterator:
                pass

    return run


def peers(folder, size):
    files = sorted(str(file) for file in pathlib.Path(folder).glob("*/*"))

    def loop():
        order = np.random.permutation(files)
        for start in range(0, COUNT, BATCH):
            images = [tf.io.decode_image(tf.io.read_file(file), channels=3) for file in order[start : start + BATCH]]
            np.stack([tf.image.resize(image, (size, size), antialias=True) for image in images])

    options = dict(image_size=(size, size), batch_size=BATCH, verbose=False)
    dataset = keras.utils.image_dataset_from_directory(folder, **options)

    def keras_reads():
        for _ in dataset:
            pass

    return {"a plain loop": loop, "image_dataset_from_directory": keras_reads}
