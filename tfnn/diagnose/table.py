"""The numbers of layers as aligned text."""

WIDTH = 120  # characters per line
NOTHING = "-"

COLUMNS = (  # heading, heading below it, text
    ("", "layer", lambda layer: layer.path),
    ("", "output", lambda layer: "×".join(map(str, layer.shape))),
    ("activation", "mean", lambda layer: number(layer.activation.mean)),
    ("", "variance", lambda layer: number(layer.activation.variance)),
    ("gradient", "mean", lambda layer: number(layer.gradient and layer.gradient.mean)),
    ("", "variance", lambda layer: number(layer.gradient and layer.gradient.variance)),
    ("", "dead", lambda layer: percent(layer.dead)),
    ("", "saturated", lambda layer: percent(layer.saturated)),
    ("weight", "norm", lambda layer: number(layer.weight_norm)),
    ("update", "ratio", lambda layer: number(layer.update_ratio)),
)


def table(layers):
    """A table at most `WIDTH` wide: empty columns are left out, and long paths lose their beginning."""
    paths, *others = [[above, below, *map(text, layers)] for above, below, text in COLUMNS]
    others = [aligned(column, ">") for column in others if set(column[2:]) != {NOTHING}]
    room = WIDTH - sum(len(column[0]) + 2 for column in others)
    paths = aligned([shortened(path, room) for path in paths], "<")
    return "\n".join("  ".join(cells).rstrip() for cells in zip(paths, *others))


def aligned(column, side):
    width = max(map(len, column))
    return [f"{cell:{side}{width}}" for cell in column]


def shortened(path, room):
    """Shortens 'a/b/c/d' to '…/c/d', because the end of a path says most."""
    parts = path.split("/")
    while len(path) > room and len(parts) > 1:
        parts = parts[1:]
        path = "/".join(["…", *parts])
    return path if len(path) <= room else "…" + path[len(path) - room + 1 :]


def number(value):
    return NOTHING if value is None else "0" if value == 0 else f"{value:.1e}"


def percent(value):
    return NOTHING if value is None else f"{value:.0%}"
