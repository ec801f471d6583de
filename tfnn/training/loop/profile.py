"""A window of updates under TensorFlow's profiler."""

import pathlib

import keras
import tensorflow as tf


class Profile:
    """Profiles the updates from `start` up to `stop` of a run, for TensorBoard.

    Args:
        window: (start, stop), or None for the `profile_window` of a callback, or no profile.
        callbacks: of the run; the profile goes to the `log_dir` of the first that has such a window, or is Keras's
            TensorBoard; else to "logs".

    Raises:
        ValueError: for a window that is no range of updates.
    """

    def __init__(self, window, callbacks):
        if window is not None and not (isinstance(window, (tuple, list)) and len(window) == 2 and 0 <= window[0] < window[1]):
            raise ValueError(f"profile={window!r} must be (start, stop): the first update, and the first one after the window")
        self.running = False
        is_board = lambda callback: hasattr(callback, "profile_window") or isinstance(callback, keras.callbacks.TensorBoard)
        boards = list(filter(is_board, callbacks))
        wanted = [board.profile_window for board in boards if getattr(board, "profile_window", None)]
        self.window = tuple(window or (wanted and wanted[0]) or ())
        self.directory = pathlib.Path(boards[0].log_dir if boards else "logs")

    def updates_until(self, update):
        """After how many updates the window begins or ends; a large number where it does not."""
        if update in self.window[:1] and not self.running:
            tf.profiler.experimental.start(str(self.directory))
            self.running = True
        return min((at - update for at in self.window if at > update), default=2**31)

    def after(self, update):
        if self.running and update >= self.window[1]:
            self.close()

    def close(self):
        if self.running:
            tf.profiler.experimental.stop()
            self.running = False
