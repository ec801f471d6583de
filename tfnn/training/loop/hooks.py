"""What callbacks want of a trainer that runs many updates at a time."""

import keras

from tfnn.controls import Steering
from tfnn.internals.callbacks import traces_batches

# Callbacks of Keras that override the batch hooks, and when these have work to do.
KNOWN = {
    keras.callbacks.ProgbarLogger: lambda bar: False,
    keras.callbacks.TensorBoard: lambda board: board.update_freq != "epoch" or traces_batches(board),
    keras.callbacks.ModelCheckpoint: lambda checkpoint: checkpoint.save_freq != "epoch",
    keras.callbacks.BackupAndRestore: lambda backup: backup.save_freq != "epoch",
    Steering: lambda steering: False,  # the trainer asks it itself
}
TRAIN_HOOKS = "on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end"
TEST_HOOKS = "on_test_batch_begin", "on_test_batch_end"


def wants(callback, hooks=TRAIN_HOOKS):
    """Whether a callback has work to do at each batch: each update is then a call of the graph of its own."""
    known = next((known for known in KNOWN if isinstance(callback, known)), None)
    if known and KNOWN[known](callback) and any(hook in vars(known) for hook in hooks):
        return True
    under_model_fit = (kind for kind in type(callback).__mro__ if vars(kind).get("only_under_model_fit"))
    plain = next(under_model_fit, known or keras.callbacks.Callback)
    return any(getattr(type(callback), hook) is not getattr(plain, hook) or hook in vars(callback) for hook in hooks)


def steers(callback):
    """Whether a callback has something to set between updates."""
    own = lambda method: getattr(type(callback), method) is not getattr(Steering, method)
    return isinstance(callback, Steering) and (own("updates_until_due") or own("on_update_begin"))


def epochs_before_stop(callback):
    """How many epochs a run is sure to have with a callback that may stop it, or None for one that does not stop runs.

    Of a callback of the user's it is asked whether its class names `stop_training`.
    """
    if isinstance(callback, keras.callbacks.EarlyStopping):
        return callback.start_from_epoch + callback.patience + 1
    if type(callback).__module__.split(".")[0] in ("keras", "tfnn"):
        return None
    methods = (vars(kind).get(hook) for kind in type(callback).__mro__ for hook in ("on_epoch_end", *TRAIN_HOOKS))
    stops = any("stop_training" in method.__code__.co_names for method in methods if hasattr(method, "__code__"))
    return 1 if stops else None
