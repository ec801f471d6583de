"""What a layer, or a tensor that one gave, holds besides what Keras documents."""

import inspect

import keras

from tfnn.internals.lookup import part


def layers_of(layer, include_self=False, recursive=True):
    """The layers inside a model or layer, those inside these too. Keras 3.12 to 3.15; raises without `_flatten_layers`."""
    return list(part(layer, "_flatten_layers")(include_self=include_self, recursive=recursive))


def takes_training(layer):
    """Whether the call of a layer is to be told `training`, as Keras sees it: by the signature, in all versions."""
    return isinstance(layer, keras.Layer) and "training" in inspect.signature(layer.call).parameters


def seed_generators_of(layer):
    """The layer's own seed generators, not those of layers inside. Keras 3.12 to 3.15; raises without `_seed_generators`."""
    return list(part(layer, "_seed_generators"))


# What Keras and TensorFlow note in a layer or model as it is called, trained or looked at: no call depends on it.
NOTES = {
    "_call_context_args",
    "_called",
    "_eval_epoch_iterator",
    "_inbound_nodes",
    "_initial_epoch",
    "_lock",
    "_loss_ids",
    "_losses",
    "_losses_override",
    "_outbound_nodes",
    "_saved_model_arg_spec",
    "_saved_model_inputs_spec",
    "_tracker",
    "history",
    "predict_function",
    "stop_evaluating",
    "stop_predicting",
    "stop_training",
    "test_function",
    "train_function",
}


def attributes_of(part):
    """{name: value} of a layer or optimizer without `NOTES`, as Keras 3.12 to 3.15 make them, and TensorFlow's `_self_*`."""
    return {name: value for name, value in vars(part).items() if name not in NOTES and not name.startswith("_self_")}


def is_inside_another(layer):
    """Whether a layer is called by another, as by a model. Keras 3.12 to 3.15; False without `_get_call_context`."""
    context = getattr(layer, "_get_call_context", None)
    return context is not None and context().entry_layer is not layer


def input_shapes_of(model):
    """{argument of `build`: shape} of a model that was called. Keras 3.12 to 3.15; None without `_build_shapes_dict`."""
    return getattr(model, "_build_shapes_dict", None)


def mask_of(tensor):
    """The mask that a layer sent along with a tensor. Keras 3.12 to 3.15; None without `_keras_mask`."""
    return getattr(tensor, "_keras_mask", None)


def logits_of(tensor):
    """From what an activation made a tensor, where losses look. Keras 3.12 to 3.15; the tensor without `_keras_logits`."""
    return getattr(tensor, "_keras_logits", tensor)


def with_marks_of(tensor, other):
    """`other`, with the mask and the logits that Keras hung on `tensor`. Keras 3.12 to 3.15; without what is missing."""
    for mark in "_keras_mask", "_keras_logits":
        if hasattr(tensor, mark):
            setattr(other, mark, getattr(tensor, mark))
    return other
