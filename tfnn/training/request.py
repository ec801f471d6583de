"""The arguments of `fit`, checked once."""

import dataclasses
import random
from typing import Any

from tfnn.checks import int32
from tfnn.data.growable import Growable
from tfnn.data.stream import ImageStream
from tfnn.training.graph.augmentation import steps_of
from tfnn.training.resume.saver import Saved, found
from tfnn.training.source.choice import check_alone


@dataclasses.dataclass(frozen=True)
class Request:
    """The arguments of `fit`, under their names there; `checked` gives one in which all are of one form."""

    model: Any
    x: Any
    y: Any
    batch_size: Any
    epochs: int
    verbose: Any
    callbacks: Any
    validation_split: float
    validation_data: Any
    shuffle: bool
    class_weight: Any
    sample_weight: Any
    initial_epoch: int
    steps_per_epoch: int | None
    validation_steps: int | None
    validation_batch_size: int | None
    validation_freq: Any
    augment: Any
    accumulate: int
    nonfinite: str
    resume: Any
    profile: Any
    seed: int | None
    jit_compile: Any
    cache: Any
    augmentation: tuple = ()  # `augment` as a tuple
    resumed: Saved | None = None  # what `resume` leads to

    def settings(self, source):
        """What a report of the run tells of it."""
        told = {"accumulate", "epochs", "steps_per_epoch", "seed", "nonfinite"}
        told = {name: getattr(self, name) for name in sorted(told)} | {"shuffle": bool(self.shuffle)}
        return told | {"batch_size": source.micro_batch, "examples": getattr(source, "rows", None)}


def checked(request):
    """The same request with whole numbers, the seed, and the checkpoint that it goes on from.

    Raises:
        ValueError: for an argument out of range.
    """
    check_choices(request)
    now = {name: int32(name, getattr(request, name)) for name in ("epochs", "initial_epoch")}
    now["accumulate"] = int32("accumulate", request.accumulate, low=1)
    frequencies = () if isinstance(request.validation_freq, (list, tuple, set)) else ("validation_freq",)
    for name in ("steps_per_epoch", "validation_steps", "validation_batch_size", *frequencies):
        if getattr(request, name) is not None:
            now[name] = int32(name, getattr(request, name), low=1)
    seed = request.seed
    if isinstance(request.x, (Growable, ImageStream)):
        check_alone(request.x, y=request.y, sample_weight=request.sample_weight, batch_size=request.batch_size)
        (x, y, sample_weight), batch_size, shuffle, own_seed = request.x.arguments()
        now |= dict(x=x, y=y, sample_weight=sample_weight, batch_size=batch_size, shuffle=shuffle)
        seed = own_seed if seed is None else seed
    resumed = found(request.resume)
    if seed is None:
        seed = resumed.trainer["settings"]["seed"] if resumed else random.randrange(2**31)
    now |= dict(seed=int32("seed", seed), augmentation=steps_of(request.augment), resumed=resumed)
    return dataclasses.replace(request, **now)


def check_choices(request):
    if request.nonfinite not in ("stop", "skip", "ignore"):
        raise ValueError(f"nonfinite={request.nonfinite!r} must be 'stop', 'skip' or 'ignore'")
    weights = request.class_weight
    if not (weights is None or isinstance(weights, dict) or weights == "balanced"):
        raise ValueError(f"class_weight={weights!r} must be 'balanced' or a dict of classes and weights: {{0: 1.0, 1: 2.5}}")
    if request.cache is not None and not hasattr(request.cache, "features"):
        wanted = "a tfnn.transfer.FeatureCache, such as FeatureCache('features'), or None"
        raise ValueError(f"cache={request.cache!r} must be {wanted}")
