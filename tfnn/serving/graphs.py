"""Looks into a GraphDef: its nodes, constants and random operations."""

import re

import tensorflow as tf

from tfnn.internals.tensorflow import graph_in

# BitwiseXor is among them because `tfnn.random` draws by Threefry, which consists of exclusive ors.
DRAWS = re.compile("Random|Multinomial|Shuffle|TruncatedNormal|StatefulUniform|StatefulStandard|^Rng|^NonDeterm|BitwiseXor")


def stored(path):
    """The GraphDef of a SavedModel."""
    return graph_in((path / "saved_model.pb").read_bytes())


def nodes(graph):
    return [*graph.node, *(node for function in graph.library.function for node in function.node_def)]


def constant_bytes(graph):
    """Bytes of all numeric constants in a graph and its functions."""
    tensors = (node.attr["value"].tensor for node in nodes(graph) if node.op == "Const")
    return sum(tensor.ByteSize() for tensor in tensors if tensor.dtype != tf.string.as_datatype_enum)


def check_python(graph):
    """Refuses graphs that call Python functions, which exist in this process only."""
    for node in nodes(graph):
        if "PyFunc" in node.op:
            raise ValueError(f"the graph calls Python ({node.op}, {node.name}), which no server has")


def check_random_operations(graph):
    """Refuses graphs that draw random numbers, because augmentation or dropout was left switched on."""
    for node in nodes(graph):
        if DRAWS.search(node.op):
            raise ValueError(
                f"the graph draws random numbers ({node.op}, {node.name}): a layer of the model does so with training=False too"
            )
