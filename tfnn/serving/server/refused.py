"""The error for requests that a client has to correct or repeat."""

LONGEST = 500  # characters; gRPC sends the reason in a header of at most 8 kB


class Refused(ValueError):
    """A request is refused.

    Args:
        reason: a text for the client; it is made one line.
        status: the HTTP status, 400 to 499, or 503 if the server is busy.
    """

    def __init__(self, reason, status=400):
        line = " ".join(reason.split())
        super().__init__(line if len(line) <= LONGEST else line[: LONGEST - 1] + "…")
        self.status = status
