"""Show what an exported model takes and gives and how it was made, and compare each file with its checksum.

The exit code is 2 where a file is missing or is not as it was written.
"""

import json
import pathlib

from tfnn.serving import newest, verified
from tfnn.serving.formats import SAVED_MODEL


def add_arguments(parser):
    parser.add_argument("bundle", metavar="BUNDLE", help="the exported model: NAME/VERSION, or NAME for its newest version")
    parser.add_argument("--json", action="store_true", help="print bundle.json")


def run(options):
    path = newest(pathlib.Path(options.bundle))
    about = verified(path)
    print(json.dumps(about, indent=1) if options.json else "\n".join(lines(path, about)))
    return 0


def lines(path, about):
    sizes = [(path / name).stat().st_size for name in about["files"]]
    parameters, folded = about["parameters"], about["folded_batchnorms"]
    yield f"{path}: {len(sizes)} files, {sum(sizes):,} bytes, as they were written"
    yield f"model    {about['name']}, {parameters['count']:,} parameters in {parameters['stored_bytes']:,} bytes"
    yield f"format   {about.get('format_of_model', SAVED_MODEL)}"
    if folded:
        yield f"         {folded} BatchNorm{'s' * (folded > 1)} folded into the layers before"
    for name, signature in about["signatures"].items():
        yield f"{name}"
        for kind, tensors in signature.items():
            for tensor, of in tensors.items():
                shape = " × ".join("any" if size is None else str(size) for size in of["shape"])
                meaning = f"  {of['meaning']}" if "meaning" in of else ""
                yield f"  {kind[:-1]:6}  {tensor}  {of['dtype']} ({shape}){meaning}"
    if about["labels"]:
        labels = (path / about["labels"]).read_text(encoding="utf-8").splitlines()
        more = f", ... {len(labels) - 10} more" if len(labels) > 10 else ""
        yield f"labels   {len(labels)}: {', '.join(labels[:10])}{more}"
    numbers = {name: value for name, value in about["metrics"].items() if isinstance(value, (int, float))}
    if numbers:
        yield "metrics  " + ", ".join(f"{name} {value:g}" for name, value in numbers.items() if not isinstance(value, bool))
    yield f"made     {about['made']} by {', '.join(f'{name} {version}' for name, version in about['versions'].items())}"
    if about["git_commit"]:
        yield f"commit   {about['git_commit']}"
