"""The options of augmentation and the layers that they make."""

import tfnn
from tfnn.layers.augment.resample import FILLS

LAYERS = tfnn.layers
# option: (default, what its number means, layer made of (number, the data's value range, how to fill what lies outside))
STRENGTHS = {
    "rotation": (0.02, "share of a full turn, to either side", lambda f, _, fill: LAYERS.RandomRotation(f, **fill)),
    "translation": (0.06, "share of height and width", lambda f, _, fill: LAYERS.RandomTranslation(f, f, **fill)),
    "zoom": (0.15, "share, in and out", lambda f, _, fill: LAYERS.RandomZoom(f, **fill)),
    "shear": (0, "share of the other side", lambda f, _, fill: LAYERS.RandomShear(f, f, **fill)),
    "brightness": (0, "share of the value range", lambda f, values, _: LAYERS.RandomBrightness(f, values)),
    "contrast": (0, "share, more and less", lambda f, values, _: LAYERS.RandomContrast(f, values)),
    "noise": (
        0,
        "deviation as a share of the value range",
        lambda f, values, _: LAYERS.RandomGaussianNoise(f, values),
    ),
    "erasing": (0, "probability", lambda f, values, _: LAYERS.RandomErasing(f, value_range=values)),
}
FLIPS = "horizontal", "vertical", "horizontal_and_vertical"


def add_arguments(add, asked=True):
    """Adds the options.

    Args:
        asked: whether the command always augments. Where it does not, it has an option --augment, without which the
            default of every strength is 0.
    """
    if not asked:
        add(
            "--augment",
            action="store_true",
            help="augment with the defaults of the options below; tfnn augment draws the result",
        )
    add("--flip", choices=FLIPS, help="reflect half of the copies")
    for name, (strength, meaning, _) in STRENGTHS.items():
        default = strength if asked else None
        add(f"--{name}", type=float, default=default, metavar="F", help=f"{meaning}, 0 to 1 (default {strength})")
    add(
        "--fill-mode",
        choices=FILLS,
        default="constant",
        help="how to fill what lies outside of the image (default constant: black)",
    )


def fill_in(options):
    """Fills in the strengths that were not given."""
    for name, (strength, _, _) in STRENGTHS.items():
        if getattr(options, name) is None:
            setattr(options, name, strength if options.augment else 0)


def check(options):
    for name in STRENGTHS:
        if not 0 <= getattr(options, name) <= 1:
            raise ValueError(f"--{name} {getattr(options, name):g} must be between 0 and 1")


def steps_of(options, value_range):
    """The list that `tfnn.fit(augment=...)` takes: one layer, or none."""
    fill = {"fill_mode": options.fill_mode, "fill_value": value_range[0]}
    layers = [LAYERS.RandomFlip(options.flip)] if options.flip else []
    strengths = {name: getattr(options, name) for name in STRENGTHS}
    layers += [STRENGTHS[name][-1](strength, value_range, fill) for name, strength in strengths.items() if strength]
    return [LAYERS.Augment(layers, name="augment")] if layers else []
