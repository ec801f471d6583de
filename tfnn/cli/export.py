"""Export a model: a folder that answers raw images or tables with names, checked before it appears.

MODEL is a .keras file, or the folder of a run of tfnn train, which holds labels and preprocessing. DIR gets the next
version, DIR/1, DIR/2, ..., as model servers expect; next to it, DIR/models.config and DIR/batching.config for
TensorFlow Serving.
"""

import json
import pathlib

import keras

import tfnn
from tfnn.data import ink
from tfnn.serving.formats import FORMATS, SAVED_MODEL


def add_arguments(parser):
    parser.add_argument("model", metavar="MODEL", help="a .keras file, or the folder of a run")
    parser.add_argument("directory", metavar="DIR", help="the model's folder")
    add = parser.add_argument_group("of a .keras file").add_argument
    add("--labels", metavar="FILE", help="a text file with the name of a class on each line; 'none': there are no classes")
    add("--scale", type=number, metavar="S", help="pixels p of 0 to 255 become S·p + O, as in training; such as 1/255")
    add("--offset", type=number, metavar="O", help="see --scale (default 0)")
    add("--size", type=int, nargs=2, metavar=("H", "W"), help="of images, for a model that takes any")
    add("--from-logits", action="store_true", help="the model's outputs still need a softmax")
    add = parser.add_argument_group("bundle").add_argument
    add("--signatures", metavar="A,B", help="of serving_default, image_bytes, raw (default all that the model can have)")
    add("--embedding", nargs="?", const=True, metavar="LAYER", help="add the output of a layer, or the input of the last")
    add("--top", type=int, default=5, metavar="K", help="how many classes are named (default 5)")
    add("--no-fold", action="store_true", help="keep BatchNorm as a step of its own")
    add("--no-freeze", action="store_true", help="keep weights as variables, in less memory; needed beyond 2 GB")
    add("--no-warmup", action="store_true", help="no requests for TensorFlow Serving to warm up with")
    add("--format", choices=FORMATS, default=SAVED_MODEL, metavar="F", help=f"{', '.join(FORMATS)} (default the first)")
    add("--version", type=int, metavar="N", help="the number of the version (default the next)")


def run(options):
    path = pathlib.Path(options.model)
    arguments = of_run(path, options) if path.is_dir() else of_file(options)
    bundle = tfnn.export(
        loaded(path / "model.keras" if path.is_dir() else path),
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


def loaded(path):
    if not (path.suffix == ".keras" and path.is_file()):
        raise ValueError(f"{path}: no such file; wanted is a .keras file, or the folder of a run of tfnn train")
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # a damaged file or a class that is not registered gives errors of many kinds
        raise ValueError(f"{path}: cannot be loaded ({str(error).strip().splitlines()[0]})") from None


def of_file(options):
    scaled = options.scale is not None or options.offset is not None
    rescale = keras.layers.Rescaling(1.0 if options.scale is None else options.scale, options.offset or 0.0)
    return {
        "labels": labels_in(options.labels),
        "preprocess": rescale if scaled else None,
        "size": options.size and tuple(options.size),
        "from_logits": options.from_logits,
    }


def labels_in(path):
    if path is None or path == "none":
        return None if path is None else ()
    try:
        return pathlib.Path(path).read_text(encoding="utf-8-sig").rstrip().splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"--labels {path}: is not a text file in UTF-8") from None


def of_run(folder, options):
    for name in ("labels", "scale", "offset", "size", "from_logits"):
        if getattr(options, name):
            raise ValueError(
                f"--{name.replace('_', '-')} is for a .keras file; the run in {folder} holds what it was trained on"
            )
    try:
        images = json.loads((folder / "config.json").read_text())["images"]
        metrics = json.loads((folder / "result.json").read_text())
    except OSError as error:
        raise ValueError(f"{folder}: no finished run of tfnn train, {error.filename}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{folder}: config.json or result.json is damaged, or of an older tfnn") from None
    return served(images, metrics)


def description(data):
    """What a bundle needs to know of the images of a data set, as JSON: `config.json` of a run holds it."""
    prepare = data.prepare and data.prepare.__name__
    return {"class_names": list(data.class_names), "value_range": list(map(float, data.value_range)), "prepare": prepare}


def served(images, metrics):
    """Arguments of `tfnn.export` for a model that was trained on images of that description, with what was measured of it."""
    low, high = images["value_range"]
    return {
        "labels": images["class_names"],
        "preprocess": None if (low, high) == (0, 255) else keras.layers.Rescaling((high - low) / 255, low),
        "prepare": images["prepare"] and getattr(ink, images["prepare"]),
        "metrics": {name: value for name, value in metrics.items() if name not in ("bundle", "history", "batch_sizes")},
    }
