"""Finds the stages of a backbone in its graph: blocks of layers that are frozen or trained as one."""

import collections
import math
import re
from typing import NamedTuple

import keras

from tfnn.internals.functional import calls_of, is_functional

# finds block_3 in block_3_expand, conv3_block1 in conv3_block1_2_bn, block2a in block2a_se_reduce, reduce_4 in bn_reduce_4
BLOCK = re.compile(r"(.*block_?\d+[a-z]?|expanded_conv(?:_\d+)?)_|.*_(stem_\d|reduce_\d+)$")


class Stage(NamedTuple):
    """A stage of a model. name: C1, C2, ...; layers: its layers, in the model's order.

    Example:
        >>> stage = tfnn.transfer.stages(tfnn.models.resnet((32, 32, 3), 10))[0]
        >>> stage.name, stage.parameters
    """

    name: str
    layers: tuple

    @property
    def parameters(self):
        return sum(layer.count_params() for layer in self.layers)


def stages(model: keras.Model) -> list[Stage]:
    """Splits a functional model's layers where the resolution falls: stage Ck ends at 1/2ᵏ of the input's resolution.

    A layer's level k is log₂ of the product of the strides on the longest path to it. Layers that lead to a lower
    resolution belong to it from the last point that all paths pass through, or from the beginning of their block. So no
    block is split, BatchNorm stays with its convolution, and no edge of the graph leads to an earlier stage. A level
    that learns nothing (the input, a last pooling) joins its neighbour. The names are those of Lin et al. 2017,
    arXiv:1612.03144, section 3.

    Args:
        model: a built functional model from images to features.

    Returns:
        A list of `Stage`s from the input to the output. Each layer of the model is in exactly one.

    Raises:
        ValueError: if the model learns nothing, or calls a layer twice, which could belong to two stages.

    Example:
        >>> model = tfnn.transfer.backbone("MobileNetV2").build()
        >>> [stage.name for stage in tfnn.transfer.stages(model)]
        ['C1', 'C2', 'C3', 'C4', 'C5']
    """
    model = functional(model)
    members = ((name, set(operations)) for name, operations in operations_of_stages(model))
    return [Stage(name, tuple(layer for layer in model.layers if layer in operations)) for name, operations in members]


def functional(model):
    """Turns a Sequential into a functional model of its layers; returns other models as they are."""
    return keras.Model(model.inputs[0], model.outputs[0], name=model.name) if isinstance(model, keras.Sequential) else model


def operations_of_stages(model):
    """[(name of a stage, its operations)]; besides layers there are operations such as the sum of two tensors."""
    parents, level = graph(model), levels(model)
    for group in [*between_bottlenecks(parents), *blocks(parents)]:
        lowest, highest = (f(level[one] for one in group) for f in (min, max))
        if highest - lowest <= 1:  # otherwise the group is more than a block: NASNet has no bottleneck after its stem
            level.update(dict.fromkeys(group, highest))
    for operation, before in parents.items():
        level[operation] = max([level[operation], *(level[one] for one in before)])
    members = collections.defaultdict(list)
    for operation in parents:
        members[math.ceil(level[operation])].append(operation)
    return [(f"C{k}", operations) for k, operations in merged(sorted(members.items()))]


def graph(model):
    """{operation: the operations whose outputs it takes}, inputs first."""
    parents = {}
    for call in calls_of(model):
        if call.operation in parents:
            raise ValueError(
                f"layer {call.operation.name!r} is called twice in {model.name!r}: give each call a layer of its own"
            )
        parents[call.operation] = call.parents
    return parents


def levels(model):
    """{operation: log₂ of the product of the strides on the longest path to it}."""
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
    if strides is None:  # in keras.ops.max_pool and average_pool
        strides = operation.pool_size
    return strides if isinstance(strides, int) else max(strides)


def between_bottlenecks(parents):
    """Yields groups of operations that end in a bottleneck: everything after it depends on its output alone."""
    uses = collections.Counter(one for before in parents.values() for one in before)
    group, waiting = [], set()  # waiting: operations whose outputs are still needed
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
    """Groups of operations that belong to one block by their names."""
    named = collections.defaultdict(list)
    for operation in parents:
        if found := BLOCK.match(operation.name):
            named[found[1] or found[2]].append(operation)
    return named.values()


def merged(levels):
    """Joins each level that learns nothing with the next level, or at the end with the last."""
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
