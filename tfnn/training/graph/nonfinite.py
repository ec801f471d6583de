"""Numbers that are not finite: where they began."""

import keras
import numpy as np
import tensorflow as tf


class NonFiniteError(ArithmeticError):
    """A loss, or a weight after an update, was not finite. The model is as it was before that update.

    Attributes:
        epoch, update: from 0, `update` being the one in that epoch.
        examples: positions in the data of the examples of the batch; of those with numbers in x or y that are not finite,
            where there are such.
        variable: the path of the first variable, from the loss back, whose gradient was not finite, or None.

    Example:
        >>> try:
        ...     tfnn.fit(model, x * np.nan, y, verbose=0)
        ... except tfnn.training.NonFiniteError as error:
        ...     print(error.examples)
    """

    def __init__(self, epoch, update, examples=(), variable=None, data=None):
        self.epoch, self.update, self.examples, self.variable = epoch, update, list(examples), variable
        which = ", ".join(map(str, self.examples[:20])) + (", …" if len(self.examples) > 20 else "")
        where = f"epoch {epoch}, update {update}" + (f", examples {which}" if which else "")
        if data:
            cause = f"{data} of these examples holds numbers that are not finite: mend the data"
        else:
            began = f"the gradient of {variable} was the first that is not finite; " if variable else ""
            cause = f"{began}lower the learning rate, or give the optimizer a clipnorm"
        super().__init__(f"the loss or a weight is not finite at {where}; the model is as it was before. {cause}")


def suspicion(graph, batch, place):
    """(examples, variable, data), as `NonFiniteError` takes them, of a micro-batch that gives such numbers; else None.

    Args:
        place: (pass, positions of the examples).
    """
    passes, examples = place
    for name, part in zip(("x", "y", "sample_weight"), keras.utils.unpack_x_y_sample_weight(batch)):
        bad = np.zeros(len(examples), bool)
        for a in keras.tree.flatten(part):
            if a is not None and tf.is_tensor(a) and a.dtype.is_floating:
                bad |= ~np.isfinite(a.numpy().astype(np.float64)).reshape(len(examples), -1).all(1)
        if bad.any():
            return examples.numpy()[bad].tolist(), None, name
    if graph.compiled.own_step:
        return None
    finite, variables = graph.examine(batch, (graph.controls.seed.value(), passes, examples))
    if finite and not variables:
        return None
    return examples.numpy().tolist(), variables[-1] if variables else None, None
