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


def check_random_operations(path):
    """Refuses a SavedModel whose graph draws random numbers: augmentation or dropout that was left switched on."""
    from tensorflow.core.protobuf import saved_model_pb2

    stored = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    graph = stored.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    random = {node.op for node in nodes if "Random" in node.op or node.op == "Multinomial"}
    if random:
        raise ValueError(
            f"the exported graph draws random numbers ({', '.join(sorted(random))}): a layer ignores training=False"
        )
