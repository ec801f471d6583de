"""The state of callbacks, which Keras's own forget: they reset themselves in `on_train_begin`.

A callback of the user's takes part by two methods, `get_state()` and `set_state(state)`. The state may hold numbers,
strings, None, arrays, tensors, and lists, tuples and dicts of them; `set_state` is given arrays for tensors. It is
called after `on_train_begin`.
"""

import warnings

import keras
import numpy as np
import tensorflow as tf

from tfnn.internals.callbacks import fields_of, set_fields, set_table, table_of


def capture(callbacks, arrays):
    """[[class name, state]] of the callbacks that have one, for JSON; what they hold of arrays goes into `arrays`."""
    states = [(type(callback).__name__, state_of(callback)) for callback in callbacks]
    return [[name, encode(state, f"callbacks/{index}/{name}", arrays)] for index, (name, state) in enumerate(states) if state]


def restore(callbacks, captured, arrays):
    """Hands each callback its state: the second EarlyStopping that of the second, whatever stands between them."""
    waiting = [(name, decode(state, arrays)) for name, state in captured]
    for callback in callbacks:
        name = type(callback).__name__
        found = next((index for index, (other, _) in enumerate(waiting) if other == name), None)
        if found is not None:
            set_state(callback, waiting.pop(found)[1])
    for name, _ in waiting:
        warnings.warn(f"the checkpoint holds the state of a callback {name}, and there is none in this run", stacklevel=2)


def state_of(callback):
    state = fields_of(callback)
    if isinstance(callback, keras.callbacks.CSVLogger):
        state["csv"] = table_of(callback)
    if hasattr(callback, "get_state"):
        state["own"] = callback.get_state()
    return state


def set_state(callback, state):
    if "own" in state:
        callback.set_state(state.pop("own"))
    if "csv" in state:
        set_table(callback, **state.pop("csv"))
    set_fields(callback, state)


# As JSON -------------------------------------------------------------------------------------------------------------


def encode(value, name, arrays):
    """`value` as JSON holds it; arrays, and numpy's scalars for their dtype, go into `arrays` under `name`."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [encode(part, f"{name}/{index}", arrays) for index, part in enumerate(value)]
    if type(value) is tuple:
        return {"tuple": encode(list(value), name, arrays)}
    if isinstance(value, dict):
        return {"dict": [[encode(key, name, arrays), encode(part, f"{name}/{key}", arrays)] for key, part in value.items()]}
    if isinstance(value, (np.ndarray, np.generic, tf.Tensor, tf.Variable, keras.Variable)):
        arrays[name] = np.array(value)
        return {"scalar" if isinstance(value, np.generic) else "array": name}
    raise ValueError(f"the state {name} must hold numbers, strings, arrays, lists or dicts, got a {type(value).__name__}")


def decode(value, arrays):
    if isinstance(value, list):
        return [decode(part, arrays) for part in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "dict":
        return {decode(key, arrays): decode(part, arrays) for key, part in content}
    if kind == "tuple":
        return tuple(decode(content, arrays))
    return arrays[content].copy() if kind == "array" else arrays[content][()]
