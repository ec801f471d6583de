"""What the client has to mend."""

LONGEST = 500  # characters; gRPC carries a reason in a header of at most 8 kB


class Refused(ValueError):
    """A request that is not answered.

    Args:
        reason: one line for the client.
        status: of HTTP; 400 to 499, or 503 for a server that is busy.
    """

    def __init__(self, reason, status=400):
        super().__init__(reason if len(reason) <= LONGEST else reason[: LONGEST - 1] + "…")
        self.status = status
