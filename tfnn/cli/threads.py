"""How many threads one operation should take."""

import tensorflow as tf

SMALL = 2**14  # pixels of a batch: 64 images of 16×16
CHOICE_OF_TENSORFLOW = "TensorFlow's choice of threads"


def intra_op_threads(batch_size, image_shape):
    """1 for a network of small convolutions, else 0, TensorFlow's own choice (one for each core).

    Splitting one small convolution over threads costs more than it saves. `python -m tests.benchmarks threads` shows
    both sides of the bound.

    Args:
        batch_size: images of one forward and backward pass.
        image_shape: (height, width, channels).
    """
    height, width, _ = image_shape
    return 1 if batch_size * height * width <= SMALL else 0


def set_threads(number):
    """Sets the number if TensorFlow has not started yet, which happens as soon as it decodes images.

    Returns:
        The threads that hold now, in words.
    """
    try:
        tf.config.threading.set_intra_op_parallelism_threads(number)
    except RuntimeError:
        number = 0
    return "one thread for each operation (small convolutions)" if number == 1 else CHOICE_OF_TENSORFLOW
