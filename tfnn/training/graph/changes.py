"""What a traced function changes outside itself: asked of its graph, so that nothing has to be listed beforehand.

Layers, metrics and optimizers tell of most variables. A graph may write others: those in a container, in a loss, of a
`tf.random.Generator`, of an optimizer in a list. What is undone after a number that is not finite, and what a checkpoint
holds, follow from this.
"""

import functools

import keras
import tensorflow as tf

from tfnn.internals.tensorflow import changed_resources, draws_from_state, variable_behind


class Resource:
    """A variable of which only the handle is known. It is read and assigned as a `tf.Variable` is."""

    def __init__(self, handle, dtype, shape, name):
        self.handle, self.dtype, self.shape, self.name = handle, dtype, shape, name

    def value(self):
        value = tf.raw_ops.ReadVariableOp(resource=self.handle, dtype=self.dtype)
        return tf.ensure_shape(value, self.shape)

    def numpy(self):
        return self.value().numpy()

    def assign(self, value):
        return tf.raw_ops.AssignVariableOp(resource=self.handle, value=tf.convert_to_tensor(value, self.dtype))


class Changes:
    """The variables that traced functions change, in the order of their first mention.

    Attributes:
        variables: `tf.Variable`s and `Resource`s.
        others: the names of operations that change what is no variable, such as a table, and cannot be saved or undone.
    """

    def __init__(self, *functions):
        self.functions = functions
        self.variables, self.others, seen = [], [], set()
        for function in functions:
            known = {id(variable.handle): variable for variable in function.graph.variables}
            for handle, operation in changed_resources(function):
                if id(handle) in seen:
                    continue
                seen.add(id(handle))
                variable = known[id(handle)] if id(handle) in known else resource(handle, operation.name)
                if variable is None:
                    self.others.append(operation.name)
                else:
                    self.variables.append(variable)

    @functools.cached_property
    def draws(self):
        """The names of operations that draw random numbers from a state that cannot be saved."""
        return [name for function in self.functions for name in draws_from_state(function)]

    def beside(self, variables):
        """Those of the variables that are none of `variables`."""
        known = {id(handle_of(variable)) for variable in variables}
        return [variable for variable in self.variables if id(variable.handle) not in known]


def resource(handle, name):
    """The `Resource` behind a handle, or None where that is no variable."""
    found = variable_behind(handle)
    return Resource(handle, *found, name) if found else None


def handle_of(variable):
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle
