"""Watches one update of each epoch: its gradients, and how far it moves the weights."""

import math

import tensorflow as tf


class Watch:
    """Keeps the gradients of update number `at`, and compares the weights before and after it.

    Args:
        keep: whether to keep the gradients and steps themselves, not only their norms.
    """

    def __init__(self, keep):
        self.keep, self.before = keep, None

    def build(self, weights):
        self.weights = weights
        self.at = tf.Variable(-1, dtype=tf.int64, trainable=False)
        self.examples = tf.Variable(0.0, trainable=False)
        self.squares = tf.Variable(tf.zeros(len(weights)), trainable=False)
        self.gradients = [tf.Variable(tf.zeros(w.shape, w.dtype), trainable=False) for w in weights if self.keep]
        return [self.at, self.examples, self.squares, *self.gradients]

    def measure(self, facts, squares):
        def keep():
            self.examples.assign(facts.examples)
            self.squares.assign(squares())
            for held, gradient in zip(self.gradients, facts.gradients):
                held.assign(tf.convert_to_tensor(gradient))  # an embedding's is sparse

        tf.cond(facts.update == self.at, keep, lambda: None)

    def begin(self, update):
        self.before = [tf.identity(weight) for weight in self.weights]
        self.at.assign(update)
        self.update = update

    @property
    def running(self):
        return self.before is not None

    def end(self, histograms):
        """The findings: squares of the norms of gradients, steps and weights, (weights,) each."""
        found = {
            "gradients": self.squares.numpy(),
            "steps": squares([after - before for after, before in zip(self.weights, self.before)]).numpy(),
            "weights": squares(self.before).numpy(),
            "examples": int(self.examples.numpy()),
        }
        if histograms:
            found["histograms"] = {
                "gradient": [gradient.numpy() for gradient in self.gradients],
                "update": [(after - before).numpy() for after, before in zip(self.weights, self.before)],
            }
        self.before = None
        return found


def squares(tensors):
    """|t|² of each tensor, in float32, (tensors,)."""
    return tf.stack([tf.reduce_sum(tf.square(tf.cast(tf.convert_to_tensor(t), tf.float32))) for t in tensors])


def by_layer(names, squares):
    """{layer: norm}, from the names of the weights and the squares of their norms."""
    sums = {}
    for name, square in zip(names, squares):
        layer = name.rpartition("/")[0] or name
        sums[layer] = sums.get(layer, 0.0) + float(square)
    return {layer: math.sqrt(total) for layer, total in sums.items()}
