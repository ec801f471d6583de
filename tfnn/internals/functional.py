"""The graph of a functional model: the calls of its operations, and which of them gave a tensor."""

from typing import Any, NamedTuple

from tfnn.internals.lookup import part


class Call(NamedTuple):
    """One call of an operation, which may be called several times."""

    node: Any  # tells the call from others
    operation: Any
    parents: list  # the operations that gave its inputs
    inputs: list  # Keras tensors
    outputs: list  # Keras tensors
    arguments: list  # [args, kwargs], with Keras tensors in them


def is_functional(operation):
    """Whether it is a model made of Keras tensors. Keras 3.12 to 3.15; False without `_nodes_by_depth`."""
    return hasattr(operation, "_nodes_by_depth")


def calls_of(model):
    """The `Call`s that make up a functional model, inputs first. Keras 3.12 to 3.15; raises without `_nodes_by_depth`."""
    by_depth = part(model, "_nodes_by_depth")
    return [call_of(node) for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def call_of(node):
    """A node of Keras's as a `Call`. Keras 3.12 to 3.15; raises without one of its parts."""
    arguments = part(node, "arguments")
    return Call(
        node=node,
        operation=part(node, "operation"),
        parents=[parent.operation for parent in part(node, "parent_nodes")],
        inputs=part(node, "input_tensors"),
        outputs=part(node, "outputs"),
        arguments=[part(arguments, "args"), part(arguments, "kwargs")],
    )


def giver_of(tensor):
    """The operation that gave a Keras tensor. Keras 3.12 to 3.15; raises without `_keras_history`."""
    return part(tensor, "_keras_history").operation


def origin_of(tensor):
    """(`Call.node` that gave a Keras tensor, its place there). Keras 3.12 to 3.15; raises without `_keras_history`."""
    operation, node, place = part(tensor, "_keras_history")
    return part(operation, "_inbound_nodes")[node], place


def inputs_of(model):
    """A functional model's inputs in the structure it takes. Keras 3.12 to 3.15; raises without `_inputs_struct`."""
    return part(model, "_inputs_struct")


def outputs_of(model):
    """A functional model's outputs in the structure it gives. Keras 3.12 to 3.15; raises without `_outputs_struct`."""
    return part(model, "_outputs_struct")
