"""Batches from a PyTorch `DataLoader`, whose order comes from PyTorch's random numbers."""

import base64
import warnings

import numpy as np

from tfnn.training.source.stream import Stream


class TorchStream(Stream):
    """The batches of a `torch.utils.data.DataLoader`, from any of them on.

    The loader draws the order of a pass, and what its worker processes draw from, when the pass begins. So the states of its
    generators there are a part of a place, which is found again by reading the pass from its start.

    Loaders without a generator of their own share PyTorch's global one. Where one trains and one validates, they draw from it
    in another order than under `model.fit`, which looks at the first batches of the second later.

    Args:
        x: the loader.
        model, preprocess: as of `Stream`.
    """

    def __init__(self, x, class_weight=None, model=None, preprocess=None):
        super().__init__(x, class_weight, model=model, preprocess=preprocess)
        self.begun = None  # the states when this pass began

    @property
    def generators(self):
        """Those that the loader, its samplers and its data set hold, and PyTorch's global one, each once."""
        import torch

        return list({id(one): one for one in (*generators_in(self.source), torch.default_generator)}.values())

    def seek(self, passes, place=(0, 0)):
        self.begun = [state_of(generator) for generator in self.generators]
        super().seek(passes, place)

    def state(self):
        if self.source.persistent_workers:
            warnings.warn(
                "workers of a DataLoader with persistent_workers=True keep states of random numbers that no checkpoint holds:"
                " where the data set draws, a resumed run draws others; persistent_workers=False resumes to the bit",
                stacklevel=2,
            )
        return {**super().state(), "begun": self.begun, "now": [state_of(generator) for generator in self.generators]}

    def restore(self, state):
        self.set_generators(state["begun"])
        super().restore(state)

    def go_on_after(self, state):
        self.set_generators(state["now"])

    def set_generators(self, states):
        import torch

        for generator, state in zip(self.generators, states, strict=True):
            generator.set_state(torch.from_numpy(np.frombuffer(base64.b64decode(state), np.uint8).copy()))


def generators_in(part, seen=None):
    """The `torch.Generator`s that a loader holds, and the samplers and data sets that it is made of."""
    import torch
    from torch.utils.data import DataLoader, Dataset, Sampler

    seen = set() if seen is None else seen
    if isinstance(part, torch.Generator):
        yield part
    elif isinstance(part, (DataLoader, Dataset, Sampler)) and id(part) not in seen:
        seen.add(id(part))
        for held in vars(part).values():
            yield from generators_in(held, seen)


def state_of(generator):
    return base64.b64encode(generator.get_state().numpy().tobytes()).decode()
