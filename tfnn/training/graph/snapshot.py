"""Whether a model is still what was traced: one notion for `fit`, `evaluate` and `predict`.

A trace holds what the attributes of layers and optimizers were when it was made: an activation, a dtype policy, whether there
is an adapter (`enable_lora`), a number of the user's own. Values of variables are no part of it.
"""

import weakref

from tfnn.internals.layers import attributes_of, layers_of
from tfnn.training.graph.held import NAMES

PLAIN = int, float, complex, str, bytes, bool, type(None)


class Snapshot:
    """The attributes of a model's layers, and of its optimizers, at one moment. It keeps none of them alive that can die."""

    def __init__(self, model, optimizers=()):
        self.parts = [(weakref.ref(part), frozen_attributes(part)) for part in parts_of(model, optimizers)]

    def difference(self, model, optimizers=()):
        """In words, what is another than then, or None."""
        now = parts_of(model, optimizers)
        if len(now) != len(self.parts) or any(part is not then() for part, (then, _) in zip(now, self.parts)):
            return "the model has other layers"
        for part, (_, then) in zip(now, self.parts):
            attributes = frozen_attributes(part)
            if attributes != then:
                names = sorted(n for n in attributes.keys() | then.keys() if attributes.get(n) != then.get(n))
                return f"{part.name!r} has another {names[0].strip('_')}"
        return None


def parts_of(model, optimizers):
    return [*layers_of(model, include_self=True), *optimizers]


def frozen_attributes(part):
    return {name: frozen(value) for name, value in attributes_of(part).items() if name not in NAMES.values()}


def frozen(value):
    """What compares equal as long as a value is the same: plain values by themselves, others by what they are."""
    if isinstance(value, PLAIN):
        return type(value), value
    if isinstance(value, (list, tuple, set, frozenset)):
        return type(value), tuple(map(frozen, value))
    if isinstance(value, dict):
        return type(value), tuple((key, frozen(part)) for key, part in value.items())
    return Same(value)


class Same:
    """Equal where the object is the same; an object that has died is equal to none."""

    def __init__(self, value):
        try:
            self.get = weakref.ref(value)
        except TypeError:
            self.get = lambda: value

    def __eq__(self, other):
        return isinstance(other, Same) and self.get() is not None and self.get() is other.get()

    __hash__ = None  # type: ignore[assignment]
