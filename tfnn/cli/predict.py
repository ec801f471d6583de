"""Classify image files with an exported model.

Images may be of any size, PNG, JPEG, GIF or BMP, grey or colour, with or without alpha (laid over white). A model of
the digits was trained on light ink on a dark ground that fills the frame; a picture with a light border is taken for
dark ink on paper: it is inverted and cut to the ink before it is classified.
"""

import pathlib

from tfnn.serving import Bundle


def add_arguments(parser):
    parser.add_argument("bundle", help="the exported model: NAME/VERSION, or NAME for its newest version")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="an image file")
    parser.add_argument("--top", type=int, default=1, metavar="K", help="print the K most probable classes (default 1)")


def run(arguments):
    if arguments.top < 1:
        raise ValueError(f"--top {arguments.top} must be positive")
    files = [pathlib.Path(image) for image in arguments.images]
    encoded = [file.read_bytes() for file in files]
    bundle = Bundle(arguments.bundle)
    width = max(len(str(file)) for file in files)
    for file, image in zip(files, encoded):
        try:
            answer = bundle.classify(image)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from None
        print(f"{file!s:{width}}  " + "  ".join(f"{name} {score:.1%}" for name, score in answer[: arguments.top]))
    return 0
