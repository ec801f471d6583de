"""What is served is checked before it appears."""

import numpy as np


def check_outputs(model, from_logits):
    """Refuses outputs that are no probabilities, which a forgotten softmax gives."""
    if from_logits:
        return
    _, *shape = model.input_shape
    outputs = np.asarray(model(np.zeros([2, *shape], np.float32), training=False), np.float64)
    if not (np.isfinite(outputs).all() and outputs.min() >= 0 and np.allclose(outputs.sum(-1), 1, atol=1e-2)):
        raise ValueError(
            f"the model's outputs are no probabilities: those of a blank image sum to {outputs[0].sum():.3g};"
            " pass from_logits=True where they are logits"
        )


def check_random_operations(signatures):
    """Refuses graphs that draw random numbers: augmentation or dropout that was left switched on."""
    for name, function in signatures.items():
        graph = function.get_concrete_function().graph.as_graph_def()
        nodes = [*graph.node, *(node for part in graph.library.function for node in part.node_def)]
        random = {node.op for node in nodes if "Random" in node.op or node.op == "Multinomial"}
        if random:
            raise ValueError(
                f"the signature {name} draws random numbers ({', '.join(sorted(random))}): a layer of the model does so"
                " with training=False too"
            )
