"""The stages of a backbone: blocks of layers that are frozen or trained as one, read off its graph."""

import collections
import math
import re
from typing import NamedTuple

import keras

from tfnn.internals.functional import calls_of, is_functional

# block_3 of block_3_expand, conv3_block1 of conv3_block1_2_bn, block2a of block2a_se_reduce, reduce_4 of bn_reduce_4
BLOCK = re.compile(r"(.*block_?\d+[a-z]?|expanded_conv(?:_\d+)?)_|.*_(stem_\d|reduce_\d+)$")


class Stage(NamedTuple):
    """name: C1, C2, ...; layers: those of the model that belong to it, in the model's order."""

    name: str
    layers: tuple

    @property
    def parameters(self):
        return sum(layer.count_params() for layer in self.layers)


def stages(model: keras.Model) -> list[Stage]:
    """Splits a functional model's layers where the resolution falls: stage Ck ends at a 2ᵏ-th of the input's.

    A layer's level k is log₂ of the product of the strides on the longest way to it. Layers that lead into a lower
    resolution belong to it from the last point on that all ways pass through, or the beginning of their block, so that
    no block is split and BatchNorm stays with its convolution; no edge of the graph leads to an earlier stage. A level
    that learns nothing (the input, a last pooling) is part of its neighbour. Names as in Lin et al. 2017,
    arXiv:1612.03144, section 3.

    Args:
        model: a built functional model from images to features.

    Returns:
        A list of `Stage`s from the input to the output; each layer of the model is in one.

    Raises:
        ValueError: for a model that learns nothing, or calls a layer twice, which would belong to two stages.

    Example:
        >>> model = tfnn.transfer.backbone("MobileNetV2").build()
        >>> [stage.name for stage in tfnn.transfer.stages(model)]
        ['C1', 'C2', 'C3', 'C4', 'C5']
    """
    model = functional(model)
    members = ((name, set(operations)) for name, operations in operations_of_stages(model))
    return [Stage(name, tuple(layer for layer in model.layers if layer in operations)) for name, operations in members]


def functional(model):
    """A Sequential as a functional model of its layers; another as it is."""
    return keras.Model(model.inputs[0], model.outputs[0], name=model.name) if isinstance(model, keras.Sequential) else model


def operations_of_stages(model):
    """[(stage's name, its operations)], those too that are no layers, as a sum of two tensors."""
    parents, level = graph(model), levels(model)
    for group in [*between_bottlenecks(parents), *blocks(parents)]:
        lowest, highest = (f(level[one] for one in group) for f in (min, max))
        if highest - lowest <= 1:  # else more than a block: NASNet has no bottleneck behind its stem
            level.update(dict.fromkeys(group, highest))
    for operation, before in parents.items():
        level[operation] = max([level[operation], *(level[one] for one in before)])
    members = collections.defaultdict(list)
    for operation in parents:
        members[math.ceil(level[operation])].append(operation)
    return [(f"C{k}", operations) for k, operations in merged(sorted(members.items()))]


def graph(model):
    """{operation: operations whose output it takes}, inputs first."""
    parents = {}
    for call in calls_of(model):
        if call.operation in parents:
            raise ValueError(
                f"layer {call.operation.name!r} is called twice in {model.name!r}: give each call a layer of its own"
            )
        parents[call.operation] = call.parents
    return parents


def levels(model):
    """{operation: log₂ of the product of the strides on the longest way to it}."""
    level = {}
    for operation, before in graph(model).items():
        level[operation] = max((level[one] for one in before), default=0) + math.log2(stride(operation))
    return level


def stride(operation):
    if is_functional(operation):
        return 2 ** max(levels(operation).values())
    if hasattr(operation, "layers"):
        return math.prod(map(stride, operation.layers))
    strides = getattr(operation, "strides", 1)
    if strides is None:  # of keras.ops.max_pool and average_pool
        strides = operation.pool_size
    return strides if isinstance(strides, int) else max(strides)


def between_bottlenecks(parents):
    """Groups of operations that end in one through whose output everything behind it is computed."""
    uses = collections.Counter(one for before in parents.values() for one in before)
    group, waiting = [], set()  # waiting: whose output is still to be taken by operations behind
    for operation, before in parents.items():
        group.append(operation)
        waiting.add(operation)
        for one in before:
            uses[one] -= 1
            if not uses[one]:
                waiting.discard(one)
        if waiting == {operation}:
            yield group
            group = []


def blocks(parents):
    """Groups of operations whose names tell that they are of one block."""
    named = collections.defaultdict(list)
    for operation in parents:
        if found := BLOCK.match(operation.name):
            named[found[1] or found[2]].append(operation)
    return named.values()


def merged(levels):
    """Joins levels that learn nothing with the next one, behind the last one with it."""
    waiting, done = [], []
    for k, members in levels:
        waiting += members
        if any(getattr(one, "weights", ()) and not isinstance(one, keras.layers.Normalization) for one in members):
            done.append((k, waiting))
            waiting = []
    if not done:
        raise ValueError("a model without layers that learn has no stages")
    done[-1][1].extend(waiting)
    return done
