"""How many threads one operation should use."""

SMALL = 2**14  # pixels of a batch: 64 images of 16×16


def intra_op_threads(batch_size, image_shape):
    """1 for a network of small convolutions, else 0, TensorFlow's own choice (one for each core).

    Splitting one small convolution over threads costs more than it saves. `python -m tests.benchmarks threads` shows
    both sides of the bound. The number goes to `tf.config.threading.set_intra_op_parallelism_threads`, before
    TensorFlow's first operation.

    Args:
        batch_size: images of one forward and backward pass.
        image_shape: (height, width, channels).
    """
    height, width, _ = image_shape
    return 1 if batch_size * height * width <= SMALL else 0
