"""Batches from Grain, whose iterators tell where they stand.

Nothing of Grain is imported here: a data set of its brings its methods along.
"""

import json

import keras
import numpy as np
import tensorflow as tf

from tfnn.training.source.batches import without_optionals
from tfnn.training.source.stream import Stream

ENDLESS = 2**40  # batches: `repeat()` tells of `sys.maxsize` examples, and `batch` divides that
KEPT = 64  # states, of as many batches as TensorFlow may be ahead and more


class GrainStream(Stream):
    """The batches of a `grain.MapDataset`, `grain.IterDataset` or `grain.DataLoader`, from any of them on.

    A place is found again by the state that Grain's iterator had there, without reading what lies before it.

    Args:
        x: what Grain gives: it yields batches.
        class_weight, model: as of `Stream`.
        preprocess: as of `Stream`; Grain's own threads call it.
    """

    def __init__(self, x, class_weight=None, model=None, preprocess=None):
        name, self.begin, self.states = type(x).__name__, None, {}
        if preprocess and not hasattr(x, "map"):
            raise ValueError(f"model {model.name!r} prepares what it reads, and a grain.{name} has no map: give a MapDataset")
        super().__init__(x.map(Prepared(preprocess)) if preprocess else x, class_weight, model=model)
        self.name = name
        self.endless = hasattr(x, "__len__") and len(x) > ENDLESS

    def dataset_for(self, model):
        return tf.data.Dataset.from_generator(self.batches, output_signature=super().dataset_for(model).element_spec)

    def batches(self):
        """Yields the batches of a pass, and notes the state after each of them: TensorFlow may read ahead."""
        iterator, (before, state) = iter(self.source), self.begin or (0, None)
        if state is not None and not goes_on(iterator, state):
            for _ in range(before):
                next(iterator)
        self.begin = None
        for read, batch in enumerate(iterator, before + 1):
            self.states[read] = iterator.get_state()
            self.states.pop(read - KEPT, None)
            yield keras.tree.map_structure(as_optional, keras.tree.lists_to_tuples(batch))

    def seek(self, passes, place=(0, 0)):
        if not place[0]:
            self.begin, self.states = None, {0: None}
        super().seek(passes, place)

    def find(self, batches):
        if self.begin is None:
            super().find(batches)

    def state(self):
        state = self.states.get(self.place[0])
        return {**super().state(), "iterator": state.decode() if isinstance(state, bytes) else json.loads(json.dumps(state))}

    def restore(self, state):
        told = state["iterator"]
        self.begin = state["at"][0], told.encode() if isinstance(told, str) else told
        self.states = dict([self.begin])
        super().restore(state)


class Prepared:
    """What Grain maps over the batches: a model's preprocessing. Grain gives texts as arrays of NumPy."""

    def __init__(self, preprocess):
        self.preprocess = preprocess

    def __call__(self, batch):
        texts = lambda a: tf.constant(a) if isinstance(a, np.ndarray) and a.dtype.kind in "OSU" else a
        batch = keras.tree.map_structure(texts, batch)
        return without_optionals(self.preprocess(*(batch if isinstance(batch, (tuple, list)) else (batch,))))


def goes_on(iterator, state):
    """Sets an iterator to a state; whether it took that: a `DataLoader` refuses one of a source with another `repr`."""
    try:
        iterator.set_state(state)
    except ValueError:
        return False
    return True


def as_optional(leaf):
    """What stands for None in a `tf.data.Dataset`, as in Keras's."""
    return tf.experimental.Optional.empty(None) if leaf is None else leaf
