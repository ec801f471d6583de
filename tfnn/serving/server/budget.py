"""Limits the memory of requests that are not answered yet."""

import contextlib

from tfnn.serving.server.refused import Refused


class Budget:
    """Counts the bytes of requests, from before they are read until they are answered.

    Args:
        most: the limit, in bytes.
    """

    def __init__(self, most):
        self.most, self.held, self.closed = most, 0, False

    @contextlib.contextmanager
    def hold(self, size):
        """Holds `size` bytes within the block. Yields a function that holds more, which is called as bytes arrive.

        Raises:
            Refused: if too much is held, and after `close`.
        """
        if self.closed:
            raise Refused("this server is stopping", 503)
        own = 0

        def hold(more):
            nonlocal own
            if self.held + more > self.most:
                raise Refused(f"busy with {self.held >> 20} MiB of requests; try again later", 503)
            own, self.held = own + more, self.held + more

        try:
            hold(size)
            yield hold
        finally:
            self.held -= own

    def close(self):
        """Refuses all further requests."""
        self.closed = True
