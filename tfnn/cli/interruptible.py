"""Training that may be interrupted, in which case what was reached is kept."""

import sys
import time


def trained(model, folder, train):
    """Trains the model and saves it in the `RunFolder`, after Ctrl-C as far as it came.

    Args:
        train: a function of `verbose` and `resume`, which are those of `tfnn.fit`.

    Returns:
        The part of the run's result that is about the training, for JSON.
    """
    began, interrupted = time.perf_counter(), False
    try:
        train(verbose=1 if sys.stdout.isatty() else 2, resume=folder.checkpoints if folder.resumed else None)
    except KeyboardInterrupt:
        if not int(model.optimizer.iterations):
            raise
        interrupted = True
    seconds, history = time.perf_counter() - began, model.history
    folder.keep()
    model.save(folder.path / "model.keras")
    return {
        "train_seconds": round(seconds, 2),
        "interrupted": interrupted,
        "updates": int(model.optimizer.iterations),
        "traces": history.traces,
        "jit_compile": history.jit_compile,
        "jit_compile_reason": history.jit_compile_reason,
        "batch_sizes": history.batch_sizes,
        "history": {name: [float(value) for value in values] for name, values in history.history.items()},
    }
