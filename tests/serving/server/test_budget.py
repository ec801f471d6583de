"""Requests beyond what memory should hold are refused until others are answered."""

import asyncio

import pytest

from tfnn.serving.server.budget import Budget
from tfnn.serving.server.refused import Refused


def test_what_is_answered_or_fails_makes_room():
    budget = Budget(10)
    with budget.hold(6):
        with pytest.raises(Refused, match="try again later") as refused, budget.hold(5):
            pass
        assert refused.value.status == 503
        with pytest.raises(KeyError), budget.hold(4):
            raise KeyError
        assert budget.held == 6
    assert budget.held == 0


def test_when_it_is_closed_what_is_held_may_end_but_nothing_begins():
    budget = Budget(10)
    with budget.hold(6):
        budget.close()
        with pytest.raises(Refused, match="is stopping"), budget.hold(1):
            pass
    assert budget.held == 0


def test_a_body_holds_what_has_come_and_not_the_most_that_may():
    """Eight clients that send at the same time must not fill 256 MB because each may send 32, or says that it will."""
    rest = pytest.importorskip("tfnn.serving.server.rest", reason="tfnn serve needs the extra serve")
    requests = pytest.importorskip("starlette.requests")
    budget = Budget(10)

    async def held(*chunks):
        """What is held while the request is answered."""
        coming = iter([{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks])

        async def receive():
            return next(coming, {"type": "http.request"})

        with budget.hold(0) as hold:
            request = requests.Request({"type": "http", "headers": []}, receive)
            assert await rest.body(request, 1000, hold) == b"".join(chunks)
            return budget.held

    assert asyncio.run(held(b"four", b"more")) == 8 and budget.held == 0
    with pytest.raises(Refused, match="try again later"):
        asyncio.run(held(b"four", b"and", b"more"))
    assert budget.held == 0
