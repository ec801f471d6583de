"""λ|θ|² of the loss (lecture, eq. 1) on a whole model."""

import keras


def add_l2(model, strength):
    """Adds λ Σ w² over all kernels (weights of two or more dimensions) to the loss of `model`; gives the model.

    Biases and the γ, β of BatchNorm are left out, as is usual. It is a term of the loss, whose gradient goes through
    the optimizer; decoupled decay is an optimizer's `weight_decay`. Call it before `compile`.

    Args:
        model: a built Keras model.
        strength: λ, not negative.
    """
    if not strength >= 0:
        raise ValueError(f"strength={strength} must not be negative")
    for weight in model.trainable_weights:
        if len(weight.shape) >= 2:
            weight.regularizer = keras.regularizers.L2(strength)
    return model
