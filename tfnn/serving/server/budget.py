"""How much of the memory may be taken by requests that are not answered yet."""

import contextlib

from tfnn.serving.server.refused import Refused


class Budget:
    """Bytes of requests, from before they are read until they are answered.

    Args:
        most: bytes.
    """

    def __init__(self, most):
        self.most, self.held, self.closed = most, 0, False

    @contextlib.contextmanager
    def hold(self, size):
        """
        Raises:
            Refused: while too much is held, and after `close`.
        """
        if self.closed:
            raise Refused("this server is stopping", 503)
        if self.held + size > self.most:
            raise Refused(f"busy with {self.held >> 20} MiB of requests; try again later", 503)
        self.held += size
        try:
            yield
        finally:
            self.held -= size

    def close(self):
        """Lets no more in."""
        self.closed = True
