"""`fit(augment=...)`: what happens to a micro-batch before the forward pass, in the graph."""

import keras
import tensorflow as tf

from tfnn.training.graph.compiled import Compiled, call, check_classes


def steps_of(augment):
    """`fit`'s argument as a tuple of layers and functions."""
    steps = () if augment is None else tuple(augment) if isinstance(augment, (list, tuple)) else (augment,)
    for step in steps:
        if not (callable(step) or hasattr(step, "augment_batch")):
            raise ValueError(f"augment={augment!r} must be a layer, a function of x, or a list of them")
    return steps


def augmented(steps, x, y, sample_weight):
    """(x, y, sample_weight) of one micro-batch after all steps."""
    for step in steps:
        before, (x, y, sample_weight) = x, applied(step, x, y, sample_weight)
        check_form(step, before, x)
    return x, y, sample_weight


def applied(step, x, y, sample_weight):
    if hasattr(step, "augment_batch"):
        return step.augment_batch(x, y, sample_weight)
    if not (hasattr(step, "draw") and any(map(per_pixel, keras.tree.flatten((y, sample_weight))))):
        return call(step, x, training=True), y, sample_weight
    transform = step.draw(x)

    def moved(a):
        if not per_pixel(a) or transform.matrix is None:
            return a
        if not a.shape[1:3].is_compatible_with(x.shape[1:3]):
            raise ValueError(
                f"labels of shape {tuple(a.shape[1:])} are no masks of images {tuple(x.shape[1:])}; for boxes and points give"
                f" an object with augment_batch(x, y, sample_weight), which applies {step.name}.draw(x)"
            )
        return transform.masks(a)

    return transform.images(x), *keras.tree.map_structure(moved, (y, sample_weight))


def per_pixel(a):
    """Whether these labels or weights are masks: (B, H, W) or (B, H, W, C)."""
    return a is not None and a.shape.rank > 2


def check_form(step, before, after):
    """Refuses what the model would take for something else; height and width may change, as by a crop."""
    before, after = (keras.tree.map_structure(lambda a: tuple(getattr(a, "shape", ())[1:]), x) for x in (before, after))
    form = lambda shapes: keras.tree.map_shape_structure(lambda shape: (len(shape), shape[-1:]), shapes)
    if form(before) != form(after):
        raise ValueError(f"augment step {step} was given shape {before} and gave {after}: axes and channels must be the same")


def soften_labels(model, steps, source, validation):
    """Gives training and validation data labels that the steps can mix: one-hot in place of integers.

    Raises:
        ValueError: where a loss or metric takes integers only, and for labels that are no class of the model.
    """
    x, y, _ = source.spec
    if not any(step.mixes_labels(x, y) for step in steps if hasattr(step, "mixes_labels")):
        return
    compiled = Compiled(model)
    compiled.check_takes_soft_labels()
    outputs = compiled.output_spec(x)
    for part in source, validation:
        if part is not None:
            part.soften(lambda y: keras.tree.map_structure(one_hot, y, outputs))


def one_hot(y, output):
    """Labels as float32; integers that name one of the output's classes become one-hot."""
    classes = output.shape[-1]
    if y.dtype.is_floating:
        return y
    if classes == 1 or y.shape[1:] not in (output.shape[1:-1], (*output.shape[1:-1], 1)):
        return tf.cast(y, tf.float32)
    y = y if y.shape.rank < len(output.shape) else y[..., 0]
    if tf.executing_eagerly():  # the labels of a stream are not known yet
        check_classes(y, classes)
    return tf.one_hot(y, classes)
