"""What the client has to mend."""

LONGEST = 500  # characters; gRPC carries a reason in a header of at most 8 kB


class Refused(ValueError):
    """A request that is not answered.

    Args:
        reason: for the client; it becomes one line.
        status: of HTTP; 400 to 499, or 503 for a server that is busy.
    """

    def __init__(self, reason, status=400):
        line = " ".join(reason.split())
        super().__init__(line if len(line) <= LONGEST else line[: LONGEST - 1] + "…")
        self.status = status
