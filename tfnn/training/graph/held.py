"""What a model keeps between calls, such as its traced graph: beside its attributes, and no part of the saved model."""

NAMES = {"graph": "_tfnn_graph", "evaluation": "_tfnn_evaluation", "prediction": "_tfnn_prediction", "done": "_tfnn_done"}


def held(model, what):
    """What was held, or None."""
    return vars(model).get(NAMES[what])


def hold(model, what, value):
    """`object.__setattr__` passes over Keras's tracking of attributes, which would save the value with the model."""
    object.__setattr__(model, NAMES[what], value)


def let_go(model, what):
    vars(model).pop(NAMES[what], None)
