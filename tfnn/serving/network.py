"""Turns a Keras model into one graph with flat inputs and flat float32 outputs. It is traced once and frozen once."""

import re
from typing import NamedTuple

import keras
import tensorflow as tf

from tfnn.internals.functional import giver_of, inputs_of, outputs_of
from tfnn.internals.layers import input_shapes_of, layers_of
from tfnn.internals.tensorflow import frozen
from tfnn.serving import graphs

GRAPH_LIMIT = 2**31 - 2**24  # bytes: protobuf's 2 GB, less 16 MB for the graph around the constants


def functional(model):
    """`model` as a functional model: a Sequential layer by layer; a subclass of `keras.Model` that was called, as one layer."""
    if isinstance(model, keras.Sequential) and model.built:
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    if getattr(model, "inputs", None):
        return model
    shapes = input_shapes_of(model)
    if not isinstance(model, keras.Model) or isinstance(model, keras.Sequential) or not shapes:
        raise ValueError("export needs a model with known shapes: build it, or call it once")
    if len(shapes) == 1:
        inputs = symbolic(*shapes.values(), model.input_dtype)
        return keras.Model(inputs, model(inputs), name=model.name)
    arguments = {name.removesuffix("_shape"): shape for name, shape in shapes.items()}
    arguments = symbolic(arguments, model.input_dtype)
    return keras.Model(arguments, model(**arguments), name=model.name)


def symbolic(shapes, dtype, name=None):
    """`keras.Input`s for a structure of shapes; the keys of a dict become their names."""
    if isinstance(shapes, dict):
        return {key: symbolic(shape, dtype, key) for key, shape in shapes.items()}
    if isinstance(shapes[-1], (dict, list, tuple)):
        return [symbolic(shape, dtype) for shape in shapes]
    return keras.Input(shapes[1:], dtype=dtype, name=name)


def input_specs(model):
    """A `tf.TensorSpec` of each input with the model's own name for it; half-precision inputs are declared as float32."""
    for tensor in model.inputs:
        if tensor.shape[0] is not None:
            raise ValueError(f"the model takes batches of {tensor.shape[0]} only; export needs one with an unknown batch size")
    own = [None if is_automatic(tensor.name) else tensor.name for tensor in model.inputs]
    names = unique_names(inputs_of(model), own, "inputs")
    return [tf.TensorSpec(tensor.shape, full(tensor.dtype), name) for tensor, name in zip(model.inputs, names)]


def output_names(model):
    """The keys if the outputs are a dict, else the names of the layers that compute them."""
    return unique_names(outputs_of(model), [giver_of(tensor).name for tensor in model.outputs], "outputs")


def is_automatic(name):
    """Whether Keras made the name by counting the tensors of this process; such names differ in the next process."""
    return re.fullmatch(r"keras_tensor(_\d+)?", name) is not None


def unique_names(structure, own, fallback):
    """Unique Python identifiers for the parts of a structure: a dict's keys, else the parts' own names, else `fallback`."""
    names = []
    for place, ((path, _), name) in enumerate(zip(keras.tree.flatten_with_path(structure), own), 1):
        keys = [key for key in path if isinstance(key, str)]
        name = "_".join(keys) or name or (fallback if len(own) == 1 else f"{fallback}_{place}")
        name = re.sub(r"\W|^(?=\d)", "_", name)
        names.append(f"{name}_{place}" if name in names else name)
    return names


def embedding_of(model, layer):
    """The output of the layer with that name; for True, the input of the last layer with weights."""
    if layer is True:
        holders = [part for part in model.layers if part.weights]
        if not holders:
            raise ValueError("embedding=True: the model has no layer with weights, whose input would be the embedding")
        tensor = holders[-1].input
    else:
        try:
            tensor = model.get_layer(layer).output
        except ValueError:
            raise ValueError(f"embedding={layer!r}: the model {model.name} has no layer of that name") from None
    if not isinstance(tensor, keras.KerasTensor):
        raise ValueError(f"embedding={layer!r}: this layer has several tensors; name a layer with one output")
    return tensor


def with_embedding(model, layer):
    """The same model with the embedding as an additional last output."""
    return keras.Model(model.inputs, [*model.outputs, embedding_of(model, layer)], name=model.name)


class Once(NamedTuple):
    """A function that was traced once. `state`: the variables it reads; `bytes`: the size of its weights and constants."""

    call: tf.types.experimental.ConcreteFunction
    state: list
    bytes: int


def once(function, specs, freeze):
    """Traces a function from flat tensors to a list of tensors. `freeze` turns the variables it reads into constants."""
    concrete = tf.function(function, input_signature=specs, autograph=False).get_concrete_function()
    graph = concrete.graph.as_graph_def()
    size = sum(variable_bytes(variable) for variable in concrete.variables) + graphs.constant_bytes(graph)
    handles = {id(variable.handle) for variable in concrete.variables}
    tables = [held for held in concrete.captured_inputs if held.dtype == tf.resource and id(held) not in handles]
    if not freeze or tables:  # a lookup table cannot become a constant
        return Once(concrete, list(concrete.variables), size)
    if size > GRAPH_LIMIT:
        raise ValueError(
            f"weights of {size / 2**30:.1f} GB do not fit into a frozen graph, which holds 2 GB: pass freeze=False"
        )
    try:  # Control flow stays as functions: loops and datasets call this graph.
        return Once(frozen(concrete, lower_control_flow=False), [], size)
    except ValueError as error:
        graphs.check_random_operations(graph)  # a random generator's state cannot be frozen: name the cause
        raise ValueError(f"the model cannot be frozen ({str(error).splitlines()[0]}): pass freeze=False") from None


def tables(model):
    """The lookup tables of the layers; a SavedModel must hold them."""
    held = (value for layer in layers_of(model, include_self=True) for value in vars(layer).values())
    return [value for value in held if isinstance(value, tf.saved_model.experimental.TrackableResource)]


def network(answer, model, specs, freeze):
    """Traces `answer`, the model at inference, as a function of flat tensors with float32 outputs."""

    def call(*tensors):
        own = [tf.cast(tensor, of.dtype) if tensor.dtype != of.dtype else tensor for tensor, of in zip(tensors, model.inputs)]
        outputs = keras.tree.flatten(answer(keras.tree.pack_sequence_as(inputs_of(model), own)))
        return [tf.cast(output, full(output.dtype)) for output in outputs]

    return once(call, specs, freeze)


def full(dtype):
    dtype = tf.as_dtype(dtype)
    return tf.float32 if dtype in (tf.float16, tf.bfloat16) else dtype


def variable_bytes(variable):
    return variable.shape.num_elements() * tf.as_dtype(variable.dtype).size
