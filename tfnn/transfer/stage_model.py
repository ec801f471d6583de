"""A backbone as a chain of stages. Each is a model of its own, which is frozen or trained as one."""

import keras

from tfnn.internals.functional import calls_of, giver_of
from tfnn.transfer.stages import operations_of_stages


@keras.saving.register_keras_serializable("tfnn")
class StageModel(keras.Model):
    """A stage of a backbone. If it is frozen (`trainable = False`), all of it runs in inference mode, whatever `training` is.

    In Keras only frozen BatchNorms do: dropout and stochastic depth in a frozen EfficientNet or ConvNeXt still draw.

    Example:
        >>> inputs = keras.Input((8,))
        >>> stage = tfnn.transfer.StageModel(inputs, keras.layers.Dropout(0.5)(inputs))
        >>> stage.trainable = False
    """

    def call(self, inputs, training=None, mask=None):
        return super().call(inputs, training=training and self.trainable, mask=mask)


def chained(backbone, x):
    """Calls a backbone stage by stage.

    Args:
        backbone: a functional model with one input and one output. Its layers and weights are shared.
        x: the Keras tensor to call it with.

    Returns:
        Its output. The `StageModel`s on the way have the names that `tfnn.transfer.stages` gives.
    """
    names, members = zip(*operations_of_stages(backbone))
    place = {operation: index for index, operations in enumerate(members) for operation in operations}
    takers = [(place[call.operation], call.inputs) for call in calls_of(backbone)]
    takers.append((len(names), backbone.outputs))
    stage_of = lambda tensor: place[giver_of(tensor)]
    (start,) = backbone.inputs
    values = {start: x}
    for index, name in enumerate(names):
        taken = unique(tensor for taker, tensors in takers if taker == index for tensor in tensors)
        inputs = [tensor for tensor in taken if tensor is start or stage_of(tensor) < index]
        later = unique(tensor for taker, tensors in takers if taker > index for tensor in tensors)
        outputs = [tensor for tensor in later if tensor is not start and stage_of(tensor) == index]
        stage = StageModel(only(inputs), only(outputs), name=name)
        values |= zip(outputs, keras.tree.flatten(stage(only([values[tensor] for tensor in inputs]))))
    (features,) = backbone.outputs
    return values[features]


def unique(tensors):
    return list(dict.fromkeys(tensors))


def only(tensors):
    return tensors[0] if len(tensors) == 1 else tensors
