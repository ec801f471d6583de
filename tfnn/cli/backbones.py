"""List the networks that can be transferred, or tell what is known of one of them.

The networks are those of keras.applications, without their heads. Memory is that of the weights and of all layers'
outputs for one image of the given size, in float32. ImageNet's weights for that size lie in Keras's cache or are
downloaded once.
"""

from tfnn import transfer
from tfnn.diagnose.table import aligned
from tfnn.transfer.imagenet import cache
from tfnn.transfer.pixel_modes import MODES


def weights(one):
    """Says where ImageNet's weights for images of the network's own size are."""
    if one.input_size not in one.files:
        return "none"
    return "cached" if (cache() / one.files[one.input_size][0]).exists() else "download"


COLUMNS = (
    ("name", "<", lambda one: one.name),
    ("parameters", ">", lambda one: f"{one.parameters:,}"),
    ("size", ">", lambda one: str(one.input_size)),
    ("smallest", ">", lambda one: str(one.minimum_size)),
    ("features", ">", lambda one: str(one.features)),
    ("stages", "<", lambda one: " ".join(one.stages)),
    ("preprocessing", "<", lambda one: one.preprocessing),
    ("memory", ">", lambda one: megabytes(one.memory())),
    ("imagenet", "<", weights),
)


def add_arguments(parser):
    parser.add_argument("name", nargs="?", help="a network to tell more about")


def run(options):
    if options.name:
        print(details(transfer.backbone(options.name)))
    else:
        print(table([transfer.backbone(name) for name in transfer.backbones()]))
    return 0


def table(rows):
    columns = [aligned([heading, *map(text, rows)], side) for heading, side, text in COLUMNS]
    return "\n".join("  ".join(cells).rstrip() for cells in zip(*columns))


def details(one):
    channels = "3 channels, or others without ImageNet's weights" if one.any_channels else "3 channels"
    lines = [
        ("network", f"keras.applications.{one.name}, {one.parameters:,} parameters"),
        ("images", f"{one.input_size} × {one.input_size}, at least {one.minimum_size} × {one.minimum_size}; {channels}"),
        ("preprocessing", f"{one.preprocessing}: {MODES[one.preprocessing].__doc__}"),
        ("features", f"{one.features}, of the layer {one.feature_layer}"),
        ("memory", f"{megabytes(4 * one.parameters)}, and {megabytes(4 * one.activations)} for each image"),
    ]
    for stage, parameters in one.stages.items():
        lines.append((f"stage {stage}", f"1/{2 ** int(stage[1:])} of the height and width, {parameters:,} parameters"))
    for size, (name, url, _) in one.files.items():
        place = cache() / name
        which = "imagenet" if len(one.files) == 1 else f"imagenet, {size}"
        lines.append((which, str(place) if place.exists() else f"{url} -> {place}"))
    headings, texts = zip(*lines)
    return "\n".join("  ".join(cells) for cells in zip(aligned(headings, "<"), texts))


def megabytes(count):
    return f"{count / 1e6:,.0f} MB"
