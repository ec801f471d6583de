"""The seed generator of what draws without one of its own."""

import importlib

from tfnn.internals.lookup import imported

STATE = "keras.src.backend.common.global_state"
GENERATORS = "keras.src.random.seed_generator"


def global_seeds():
    """The generator that this thread has, or None. Keras 3.12 to 3.15; raises without `get_global_attribute`."""
    return imported(STATE, "get_global_attribute")(name())


def made_global_seeds():
    """The same, which is made where there is none. Keras 3.12 to 3.15; raises without `global_seed_generator`."""
    return imported(GENERATORS, "global_seed_generator")()


def set_global_seeds(generator):
    """Puts a generator, or None, in its place. Keras 3.12 to 3.15; raises without `set_global_attribute`."""
    imported(STATE, "set_global_attribute")(name(), generator)


def name():
    """What Keras calls it: a constant of Keras 3.13 to 3.15, of which Keras 3.12 has the value alone."""
    return getattr(importlib.import_module(GENERATORS), "GLOBAL_SEED_GENERATOR", "global_seed_generator")
