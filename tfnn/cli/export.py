"""Export a model: a folder that answers raw images or tables with names, checked before it appears.

MODEL is a .keras file, or the folder of a run of tfnn train, which holds labels and preprocessing. DIR gets the next
version, DIR/1, DIR/2, ..., as model servers expect, and beside it the files models.config and batching.config for
TensorFlow Serving.
"""

import json
import pathlib

import keras

import tfnn
from tfnn.cli.bundle import served
from tfnn.cli.options import as_typed
from tfnn.cli.reading import read_labels, read_model
from tfnn.serving.formats import FORMATS, SAVED_MODEL

WANTED = "a .keras file, or the folder of a run of tfnn train"


def add_arguments(parser):
    parser.add_argument("model", metavar="MODEL", help="a .keras file, or the folder of a run")
    parser.add_argument("directory", metavar="DIR", help="the model's folder")
    add = parser.add_argument_group("for a .keras file").add_argument
    add(
        "--labels",
        metavar="FILE",
        help="a text file with the name of a class on each line, or 'none' for a model without classes",
    )
    add("--scale", type=number, metavar="S", help="pixels p of 0 to 255 become S·p + O, as in training; a number such as 1/255")
    add("--offset", type=number, metavar="O", help="see --scale (default 0)")
    add("--size", type=int, nargs=2, metavar=("H", "W"), help="the size of images, for a model that takes any")
    add("--from-logits", action="store_true", help="the model's outputs still need a softmax")
    add = parser.add_argument_group("bundle").add_argument
    add("--signatures", metavar="A,B", help="some of serving_default, image_bytes, raw (default: all that the model can have)")
    add(
        "--embedding",
        nargs="?",
        const=True,
        metavar="LAYER",
        help="also give the output of a layer (default: the input of the last one)",
    )
    add("--top", type=int, default=5, metavar="K", help="how many classes are named (default 5)")
    add("--no-fold", action="store_true", help="keep BatchNorm as a step of its own")
    add("--no-freeze", action="store_true", help="keep weights as variables, which takes less memory; needed beyond 2 GB")
    add("--no-warmup", action="store_true", help="write no requests for TensorFlow Serving to warm up with")
    add("--format", choices=FORMATS, default=SAVED_MODEL, metavar="F", help=f"{', '.join(FORMATS)} (default the first)")
    add("--version", type=int, metavar="N", help="the number of the version (default the next)")


def run(options):
    path = pathlib.Path(options.model)
    arguments = of_run(path, options) if path.is_dir() else of_file(options)
    bundle = tfnn.export(
        read_model(path / "model.keras" if path.is_dir() else path, WANTED),
        options.directory,
        **arguments,
        signatures=options.signatures and options.signatures.split(","),
        embedding=options.embedding,
        top_k=options.top,
        fold_batchnorm=not options.no_fold,
        freeze=not options.no_freeze,
        warmup=False if options.no_warmup else None,
        version=options.version,
        format=options.format,
    )
    print(f"exported model {bundle}")
    return 0


def number(text):
    """A number, or a fraction such as 1/255."""
    numerator, _, denominator = text.partition("/")
    return float(numerator) / float(denominator or 1)


def of_file(options):
    scaled = options.scale is not None or options.offset is not None
    rescale = keras.layers.Rescaling(1.0 if options.scale is None else options.scale, options.offset or 0.0)
    return {
        "labels": read_labels(options.labels),
        "preprocess": rescale if scaled else None,
        "size": options.size and tuple(options.size),
        "from_logits": options.from_logits,
    }


def of_run(folder, options):
    for name in ("labels", "scale", "offset", "size", "from_logits"):
        if getattr(options, name):
            raise ValueError(f"{as_typed(name)} is for a .keras file; the run in {folder} holds what it was trained on")
    try:
        images = json.loads((folder / "config.json").read_text())["images"]
        metrics = json.loads((folder / "result.json").read_text())
    except OSError as error:
        raise ValueError(f"{folder}: no finished run of tfnn train, {error.filename}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{folder}: config.json or result.json is damaged, or of an older tfnn") from None
    return served(images, metrics)
