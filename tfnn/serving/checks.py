"""What is served is checked before it appears."""

import numpy as np

DRAWS = "Multinomial", "BitwiseXor"  # of exclusive ors consists Threefry, from which `tfnn.random` draws


def check_outputs(model, from_logits):
    """Refuses outputs that are no probabilities, which a forgotten softmax gives."""
    if not from_logits and not gives_probabilities(model):
        raise ValueError("the model's outputs for a blank image are no probabilities; pass from_logits=True if they are logits")


def gives_probabilities(model):
    """Whether the outputs for a blank image are at least 0 and sum to 1."""
    _, *shape = model.input_shape
    outputs = np.asarray(model(np.zeros([2, *shape], np.float32), training=False), np.float64)
    return bool(np.isfinite(outputs).all() and outputs.min() >= 0 and np.allclose(outputs.sum(-1), 1, atol=1e-2))


def check_random_operations(signatures):
    """Refuses graphs that draw random numbers: augmentation or dropout that was left switched on."""
    for name, function in signatures.items():
        graph = function.get_concrete_function().graph.as_graph_def()
        nodes = [*graph.node, *(node for part in graph.library.function for node in part.node_def)]
        random = {node.op for node in nodes if "Random" in node.op or node.op in DRAWS}
        if random:
            raise ValueError(
                f"the signature {name} draws random numbers ({', '.join(sorted(random))}): a layer of the model does so"
                " with training=False too"
            )
