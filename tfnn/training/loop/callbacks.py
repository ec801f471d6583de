"""The lists of callbacks that the loops call."""

import keras


def of_training(callbacks, model, verbose, epochs, steps):
    """The callbacks with Keras's History and progress bar; a list that was put together before is taken as it is."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        if not any(isinstance(callback, keras.callbacks.History) for callback in callbacks.callbacks):
            raise ValueError("a CallbackList for tfnn.fit needs a History: make it with add_history=True")
        return callbacks
    return keras.callbacks.CallbackList(
        callbacks, add_history=True, add_progbar=verbose != 0, verbose=verbose, epochs=epochs, steps=steps, model=model
    )


def one_epoch(callbacks, model, verbose, steps):
    """The same for `evaluate` and `predict`, which need no History."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    bar = verbose != 0
    return keras.callbacks.CallbackList(callbacks, add_progbar=bar, verbose=verbose, epochs=1, steps=steps, model=model)


def of_kind(kind, callbacks):
    return tuple(callback for callback in callbacks.callbacks if isinstance(callback, kind))
