"""What Keras's own callbacks and metrics keep to themselves."""

import os

import keras

from tfnn.internals.lookup import imported, part

# Of each class the fields that a resumed run sets: Keras's callbacks reset themselves in `on_train_begin`.
FIELDS = {
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch", "best_weights", "stopped_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
    keras.callbacks.ModelCheckpoint: ("best", "_batches_seen_since_last_saving", "_last_batch_seen", "_current_epoch"),
    keras.callbacks.BackupAndRestore: ("_batches_seen_since_last_saving", "_last_batch_seen", "_current_epoch"),
    keras.callbacks.SwapEMAWeights: ("_ema_weights_in_model",),
    keras.callbacks.TensorBoard: ("_global_train_batch", "_global_test_batch", "_previous_epoch_iterations"),
    keras.callbacks.History: ("history", "epoch"),
}


def fields_of(callback):
    """{field: value} of what a Keras callback keeps of a run. Keras 3.12 to 3.15; leaves out what is missing."""
    known = [names for kind, names in FIELDS.items() if isinstance(callback, kind)]
    return {name: getattr(callback, name) for names in known for name in names if hasattr(callback, name)}


def set_fields(callback, fields):
    """Sets what `fields_of` gave. Keras 3.12 to 3.15."""
    for name, value in fields.items():
        setattr(callback, name, value)


def table_of(logger):
    """{"text", "keys"}: what a `CSVLogger` has written, and its columns. Keras 3.12 to 3.15; raises without `keys`."""
    text = ""
    if os.path.exists(part(logger, "filename")):
        with open(logger.filename, newline="") as file:
            text = file.read()
    return {"text": text, "keys": part(logger, "keys")}


def set_table(logger, text, keys):
    """Sets what `table_of` gave: the file that is open, and its columns. Keras 3.12 to 3.15; raises without `csv_file`."""
    file = part(logger, "csv_file")
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()
    logger.keys, logger.append_header = keys, not text


def traces_batches(board):
    """Whether a Keras `TensorBoard` profiles batches. Keras 3.12 to 3.15; raises without `_should_trace`."""
    return part(board, "_should_trace")


def set_progress_target(bar, steps):
    """Tells a `ProgbarLogger` that an epoch has another number of steps. Keras 3.12 to 3.15; raises without `progbar`."""
    bar.target = part(bar, "progbar").target = steps


def print_line(message):
    """Prints as Keras does, by its settings of where to tell. Keras 3.12 to 3.15; else raises."""
    imported("keras.src.utils.io_utils", "print_msg")(message)


def direction_of(metric):
    """Which way of a metric is better, "up" or "down", or None. Keras 3.12 to 3.15; None without `_direction`."""
    return getattr(metric, "_direction", None)
