"""The loops of a graph, and what makes a function a graph."""

import functools

import tensorflow as tf


def runs_eagerly(model):
    """Whether steps run in Python: as the model was compiled, or by TensorFlow's switch for all functions."""
    return bool(model.run_eagerly or tf.config.functions_run_eagerly())


def traced(call, eager, jit_compile=False):
    """`call` as a tf.function; as it is for a model that runs eagerly."""
    if eager:
        return call
    # a partial is a key of its own: methods would share one over all graphs in TensorFlow's count of retraces, which warns
    return tf.function(functools.partial(call), jit_compile=jit_compile, autograph=False)


def loop(more, body, state):
    """tf.while_loop; in Python where the steps run eagerly, whose logs need no form that is known before."""
    if not tf.executing_eagerly():
        return tf.while_loop(more, body, state)
    while more(*state):
        state = body(*state)
    return state


def over_parts(step, carry, at, end, size):
    """carry = step(carry, start, examples) over at..end in parts of `size`; the last may be smaller."""
    body = lambda start, carry: (start + size, step(carry, start, tf.minimum(size, end - start)))
    return loop(lambda start, _: start < end, body, (at, carry))[1]


def over_static_parts(step, carry, at, end, size, tail):
    """(end of the last part, carry) of the same in parts of static shape, the last of `tail` examples unless that is None.

    It is a loop of one turn: XLA takes over thirty times as long to compile a tf.cond in its place.
    """
    for part in filter(None, (size, tail)):
        body = lambda start, carry, part=part: (start + part, step(carry, start, part))
        at, carry = loop(lambda start, _, part=part: start + part <= end, body, (at, carry))
    return at, carry


def reset_metrics(model, fresh):
    """Where `fresh`, at the start of an epoch. In the graph: a call of its own would cost as much as 5 updates."""

    def reset():
        model.reset_metrics()
        return True

    tf.cond(fresh, reset, lambda: False)
