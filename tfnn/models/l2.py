"""Adds λ|θ|² to the loss (lecture, eq. 1) for a whole model."""

import keras


def add_l2(model: keras.Model, strength: float) -> keras.Model:
    """Adds λ Σ w² over all kernels (weights of two or more dimensions) to the loss of `model`, and returns the model.

    Biases and the γ, β of BatchNorm are left out, as is usual. It is a term of the loss, whose gradient goes through the
    optimizer; for decoupled decay use the optimizer's `weight_decay`. It belongs to the weights and not to the layers'
    configuration, so call it again, before `fit`, on a model that was loaded from a file.

    Args:
        model: a built Keras model.
        strength: λ, not negative; 0 adds nothing.

    Raises:
        ValueError: for a negative `strength`, or a kernel that has a regularizer already.

    Example:
        >>> model = tfnn.models.add_l2(tfnn.models.resnet((32, 32, 3), 10), 1e-4)
    """
    if not strength >= 0:
        raise ValueError(f"strength={strength} must not be negative")
    kernels = [weight for weight in model.trainable_weights if len(weight.shape) >= 2 and strength]
    taken = [kernel.path for kernel in kernels if kernel.regularizer is not None]
    if taken:
        raise ValueError(f"add_l2 would replace the regularizer of {', '.join(taken)}")
    for kernel in kernels:
        kernel.regularizer = keras.regularizers.L2(strength)
    return model
