"""Ask an exported model about files.

Images may be PNG, JPEG, GIF, BMP or WebP files of any size, grey or in colour, with or without alpha (which is laid
over white). All images of a folder are taken. A model of the digits was trained on light ink that fills a dark frame.
It takes a picture with a light border for dark ink on paper, which is inverted and cut to the ink before it is
classified.

A signature that takes no images is asked with .npz files, which hold an array for each input.
"""

import csv
import pathlib
import sys
import zipfile

import numpy as np
import tensorflow as tf

from tfnn.data.folder import image_files, report_unread
from tfnn.data.pixels import FORMATS, SUFFIXES, UNREAD, decode
from tfnn.serving import Bundle

BATCH = 32


def add_arguments(parser):
    parser.add_argument("bundle", help="the exported model: NAME/VERSION, or NAME for its newest version")
    parser.add_argument("files", nargs="+", metavar="FILE", help="an image, a folder of images, or a .npz file")
    parser.add_argument("--signature", metavar="NAME", help="the signature to ask (default image_bytes, else serving_default)")
    parser.add_argument("--top", type=int, default=1, metavar="K", help="print the K most probable classes (default 1)")
    parser.add_argument("--csv", action="store_true", help="print a table with a line for each image or row, and all numbers")


def run(options):
    if options.top < 1:
        raise ValueError(f"--top {options.top} must be positive")
    files = [file for given in options.files for file in files_in(pathlib.Path(given))]
    bundle = Bundle(options.bundle)
    signatures = bundle.about["signatures"]
    signature = options.signature or ("image_bytes" if "image_bytes" in signatures else "serving_default")
    if signature not in signatures:
        raise ValueError(f"--signature {signature}: {bundle.path} has {', '.join(signatures)}")
    rows = asked(bundle, signature, files)
    bad = as_csv(rows, bundle.labels) if options.csv else as_text(rows, bundle.labels, options.top, files)
    if bad:
        more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise ValueError(f"{bad[0]}: not a readable {FORMATS} image{more}")
    return 0


def files_in(path):
    if not path.is_dir():
        return [path]
    files = image_files(path)
    report_unread(image_files(path, UNREAD), path)
    if not files:
        raise ValueError(f"{path}: no images here ({', '.join(SUFFIXES)})")
    return files


def asked(bundle, signature, files):
    """Yields (name, {output: array}, whether it could be read) for each image, or for each row of a .npz file."""
    inputs = bundle.about["signatures"][signature]["inputs"]
    if "image_bytes" in inputs:
        for start in range(0, len(files), BATCH):
            some = files[start : start + BATCH]
            answer = bundle.ask(signature, image_bytes=np.array([file.read_bytes() for file in some], object))
            yield from ((file, *row) for file, row in zip(some, split(answer)))
        return
    for file in files:
        if file.suffix == ".npz":
            answer = split(bundle.ask(signature, **arrays(file)))
            yield from ((f"{file}:{number}", *row) for number, row in enumerate(answer))
        elif inputs.get("image", {}).get("dtype") == "uint8":
            yield from ((file, *row) for row in ask_pixels(bundle, signature, file))
        else:
            raise ValueError(f"{file}: {signature} takes {', '.join(inputs)}: an array of each, in a .npz file")


def ask_pixels(bundle, signature, file):
    try:
        image = decode(file.read_bytes())
    except tf.errors.InvalidArgumentError:
        return [({}, False)]
    return split(bundle.ask(signature, image=image[None]))


def arrays(file):
    try:
        with zipfile.ZipFile(file), np.load(file) as content:
            return dict(content)
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file}: cannot be read ({str(error).splitlines()[0]})") from None


def split(answer):
    """The rows of an answer, as pairs ({output: array}, whether it could be read)."""
    ok = answer.pop("ok", None)
    rows = len(next(iter(answer.values())))
    return [({name: of[row] for name, of in answer.items()}, ok is None or bool(ok[row])) for row in range(rows)]


def as_text(rows, labels, top, files):
    """Prints a line for each row. Returns the names of those that could not be read."""
    width, bad = max(len(str(file)) for file in files), []
    for what, answer, ok in rows:
        if ok:
            print(f"{what!s:{width}}  {named(answer, labels, top)}")
        else:
            bad.append(what)
    return bad


def named(answer, labels, top):
    if labels is not None and "probabilities" in answer:
        order = np.argsort(-answer["probabilities"], kind="stable")[:top]
        return "  ".join(f"{labels[place]} {answer['probabilities'][place]:.1%}" for place in order)
    return "  ".join(f"{name} {np.array2string(array, precision=6, threshold=10)}" for name, array in answer.items())


def as_csv(rows, labels):
    """Prints a table. Returns the names of the rows that could not be read, whose cells are empty."""
    rows = [(what, columns(answer, labels) if ok else {}, ok) for what, answer, ok in rows]
    head = max((cells for _, cells, _ in rows), key=len, default={})
    table = csv.DictWriter(sys.stdout, ["file", "ok", *head], lineterminator="\n")
    table.writeheader()
    table.writerows({"file": what, "ok": int(ok), **cells} for what, cells, ok in rows)
    return [what for what, _, ok in rows if not ok]


def columns(answer, labels):
    """{column: cell} of one answer: the class, its probability, and that of each label; or, without labels, each number."""
    if labels is not None and "probabilities" in answer:
        probabilities = answer["probabilities"]
        best = int(np.argmax(probabilities))
        numbers = {f"{place}:{name}": value for place, (name, value) in enumerate(zip(labels, probabilities))}
        return {"class": labels[best], "probability": probabilities[best]} | numbers
    cells = {}
    for name, array in answer.items():
        flat = np.ravel(array)
        for place, value in enumerate(flat):
            cells[name if len(flat) == 1 else f"{name}_{place}"] = value.decode() if isinstance(value, bytes) else value
    return cells
