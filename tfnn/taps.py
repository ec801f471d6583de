"""Observes, and may replace, the outputs of a model's layers while it runs."""

import contextlib
import functools


@contextlib.contextmanager
def replaced_calls(layers, replace):
    """Inside the block each layer of `layers` runs `replace(layer, call)` in place of its own method `call`."""
    with contextlib.ExitStack() as stack:
        for layer in layers:  # avoids Keras's tracking; until the block ends the instance's `call` hides the class's
            object.__setattr__(layer, "call", functools.wraps(layer.call)(replace(layer, layer.call)))
            stack.callback(object.__delattr__, layer, "call")
        yield


def tapped(layers, tap):
    """Inside the block each layer of `layers` gives `tap(layer, inputs, output)` in place of its output.

    `inputs` is the first argument of the layer's `call`. Taps fire in the order in which the layers run, once for each
    time that a shared layer is called; a layer's own tap fires after those of the layers inside it.
    """

    def through(layer, call):
        def tapped_call(*args, **kwargs):
            inputs = args[0] if args else next(iter(kwargs.values()))  # as in `attention(query=q, value=v)`
            return tap(layer, inputs, call(*args, **kwargs))

        return tapped_call

    return replaced_calls(layers, through)
