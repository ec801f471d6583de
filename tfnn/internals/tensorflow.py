"""What TensorFlow has no public name for: formats of its files, frozen graphs, traces, memory."""

import functools

import tensorflow as tf

from tfnn.internals.lookup import imported, part

# Of a node or function: that XLA must compile it, and that no caller takes in its operations.
MARKS = "_XlaMustCompile", "_noinline"


def frozen(function, lower_control_flow=True):
    """A concrete function with constants for the variables it reads. TensorFlow 2.20 and 2.21; else raises."""
    convert = imported("tensorflow.python.framework.convert_to_constants", "convert_variables_to_constants_v2")
    return convert(function, lower_control_flow=lower_control_flow)


def graph_in(file):
    """The GraphDef in the bytes of a `saved_model.pb`. TensorFlow 2.20 and 2.21; else raises."""
    kind = imported("tensorflow.core.protobuf.saved_model_pb2", "SavedModel")
    return kind.FromString(file).meta_graphs[0].graph_def


def keys_in(reader):
    """{variable's name: key} of a checkpoint, from `tf.train.load_checkpoint`. TensorFlow 2.20 and 2.21; else raises."""
    kind = imported("tensorflow.core.protobuf.trackable_object_graph_pb2", "TrackableObjectGraph")
    graph = kind.FromString(reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
    return {one.full_name: one.checkpoint_key for node in graph.nodes for one in node.attributes if one.full_name}


def forget_marks(node):
    """Takes the marks `MARKS` off a node or function of a GraphDef. TensorFlow 2.20 and 2.21; passes over what is missing."""
    for mark in MARKS:
        node.attr.pop(mark, None)


def traces_of(function):
    """The concrete functions of a `tf.function`. TensorFlow 2.20 and 2.21; none without `_list_all_concrete_functions`."""
    return list(getattr(function, "_list_all_concrete_functions", list)())


def changed_resources(function):
    """[(handle, operation)] of what a concrete function changes outside itself: the first operation that may change it.

    TensorFlow 2.20 and 2.21, from what automatic control dependencies rest on; raises without it.
    """
    changing = imported("tensorflow.python.framework.auto_control_deps_utils", "get_read_write_resource_inputs")
    outside = {id(inner): outer for outer, inner in function.graph.captures if inner.dtype == tf.resource}
    found = {}
    for operation in function.graph.get_operations():
        changed = changing(operation)[1]  # a set, whose order is that of addresses
        for inner in operation.inputs:
            if id(inner) in outside and inner in changed:
                found.setdefault(id(inner), (outside[id(inner)], operation))
    return list(found.values())


def variable_behind(handle):
    """(dtype, shape) of the variable that a handle leads to; None for a table or an iterator. TensorFlow 2.20 and 2.21."""
    held = getattr(handle, "_handle_data", None)
    if held is None or not held.is_set or not held.shape_and_type:
        return None
    told = held.shape_and_type[0]
    return tf.as_dtype(told.dtype), tf.TensorShape(told.shape)


def draws_from_state(function):
    """The names of operations that draw random numbers from a state of their own, which nothing can save or set.

    They have a seed and are stateful, as those behind `tf.random.normal`. TensorFlow 2.20 and 2.21; else raises.
    """
    definition = imported("tensorflow.python.framework.op_def_registry", "get")
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for inside in graph.library.function for node in inside.node_def)]
    return [node.name for node in nodes if "seed2" in node.attr and getattr(definition(node.op), "is_stateful", False)]


@functools.cache
def fill_kernels():
    tf.function(lambda: tf.constant(0.0), jit_compile=True, autograph=False)()


def without_xla_kernel(functions, device):
    """The types of operations in concrete functions for which XLA has no kernel on a device, "CPU" or "GPU".

    TensorFlow 2.20 and 2.21, from its register of kernels, which it fills as something is compiled first; none without it.
    """
    try:
        registered = imported("tensorflow.python.framework.kernels", "get_registered_kernels_for_op")
    except NotImplementedError:
        return []
    fill_kernels()
    missing = set()
    for function in functions:
        graph = function.graph.as_graph_def()
        inside = {one.signature.name for one in graph.library.function}
        nodes = [*graph.node, *(node for one in graph.library.function for node in one.node_def)]
        missing |= {node.op for node in nodes} - inside - {"Placeholder"}
    compiles = lambda kind: any(kernel.device_type == f"XLA_{device}_JIT" for kernel in registered(kind).kernel)
    return sorted(kind for kind in missing if not compiles(kind))


def gpu_memory():
    """Bytes that TensorFlow may take of the first GPU. TensorFlow 2.20 and 2.21; raises without `device_lib`."""
    devices = imported("tensorflow.python.client.device_lib", "list_local_devices")()
    return next(device.memory_limit for device in devices if device.device_type == "GPU")


def across_replicas(function, strategy, *args):
    """`function(strategy, *args)` over all replicas, where a replica asks. TensorFlow 2.20 and 2.21; else raises."""
    distribute = part(part(tf, "__internal__"), "distribute")
    return part(distribute, "interim").maybe_merge_call(function, strategy, *args)
