"""Checks of a model's inputs and outputs before anything is written."""

import numpy as np


def image_shape(specs, size):
    """(height, width, channels) if the model's one input is an image, else None.

    Args:
        size: (height, width) for a model that takes images of any size, or None.
    """
    shape = tuple(specs[0].shape[1:]) if len(specs) == 1 else ()
    image = len(shape) == 3 and shape[-1] in (1, 3)
    if size is None:
        return shape if image and None not in shape else None
    if not image:
        raise ValueError(f"size={size} is for a model of one input (height, width, 1 or 3), got {shapes(specs)}")
    fixed = (*size, shape[-1])
    if any(own not in (None, wanted) for own, wanted in zip(shape, fixed)) or min(size) < 1:
        raise ValueError(f"size={size} does not fit a model that takes images {shape}")
    return fixed


def class_labels(labels, specs, from_logits):
    """The name of each class, or None if the model's outputs are not scores of classes.

    Args:
        labels: as given to `export`.
        specs: the outputs, with their shapes.
    """
    scores = specs[0].shape[-1] if len(specs) == 1 and len(specs[0].shape) == 2 else None
    two = scores == 1 and (labels is not None or from_logits)
    if scores is None or (labels is not None and len(labels) == 0) or (scores == 1 and not two):
        if labels or from_logits:
            raise ValueError(
                f"labels and from_logits are for a model of one output (batch, classes), got {shapes(specs)}"
                + (" and no labels" if scores else "")
            )
        return None
    classes = 2 if two else scores
    labels = [str(label) for label in (range(classes) if labels is None else labels)]
    if any(label.splitlines() not in ([label], []) for label in labels):
        raise ValueError("a label must be one line, as labels.txt has one on each")
    if len(labels) != classes:
        raise ValueError(f"{len(labels)} labels for a model of {classes} classes")
    return labels


def shapes(specs):
    return " and ".join(str(tuple(spec.shape)) for spec in specs)


def check_outputs(outputs, labels, from_logits):
    """Refuses outputs that are not finite, and scores that are not probabilities because a softmax was forgotten."""
    if not all(np.isfinite(output).all() for output in outputs if output.dtype.is_floating):
        raise ValueError("the model's outputs are not finite for drawn inputs; pass inputs that it was made for as warmup=")
    if labels is not None and not from_logits and not are_probabilities(outputs[0]):
        raise ValueError(
            "the model's outputs are no probabilities; pass from_logits=True if they are logits, labels=() if no classes"
        )


def are_probabilities(outputs):
    """Whether all numbers are at least 0, and rows sum to 1, or rows of one number are at most 1."""
    outputs = np.asarray(outputs, np.float64)
    fits = outputs.max() <= 1 if outputs.shape[-1] == 1 else np.allclose(outputs.sum(-1), 1, atol=1e-2)
    return bool(np.isfinite(outputs).all() and outputs.min() >= 0 and fits)


def gives_probabilities(model):
    """Whether the outputs for a blank image are probabilities."""
    _, *shape = model.input_shape
    return are_probabilities(model(np.zeros([2, *shape], np.float32), training=False))


def chosen_signatures(signatures, there, embedding):
    """The names of the signatures to write: those asked for, or all that exist in `there`."""
    available = [name for name in there if name != "embedding"]
    wanted = available if signatures is None else list(signatures)
    for name in wanted:
        if name not in available:
            hint = "; the embedding is asked for by embedding=" if name == "embedding" else ""
            raise ValueError(f"signatures: {name!r} is none of {', '.join(available)}{hint}")
    if not wanted and embedding is None:
        raise ValueError("signatures must name at least one")
    return [*wanted, *(["embedding"] if embedding is not None else [])]
